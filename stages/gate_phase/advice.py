"""What a gate says: its table, and what may help a phase that failed."""

from collections.abc import Iterator
from pathlib import Path

from stages.core.artifacts.files import read_csv, read_json
from stages.gate_phase.judgement import Finding, Judgement

FORGETTING = ("base_language_", "replayed_", "unreplayed_", "latent_", "validation_base_")
ENDINGS = ("stop_rate", "too_long_rate", "too_short_rate", "duration_")


def tell_judgement(judgement: Judgement) -> str:
    """A line for each limit: the figure, its rule, the checkpoint before, whether it was kept."""
    width = max(len(finding.figure) for finding in judgement.findings)
    lines = [f"gate of {judgement.phase}: {judgement.outcome()}"]
    for finding in judgement.findings:
        before = "" if finding.previous is None else f", {judgement.gate.previous} {finding.previous:.3f}"
        lines.append(f"  {finding.figure:<{width}}  {write_value(finding)}, {finding.rule}{before}: "
                     f"{'kept' if finding.kept else 'missed'}")
    return "\n".join(lines)


def write_value(finding: Finding) -> str:
    """A mean with its interval."""
    interval = "" if finding.low is None or finding.high is None else f" [{finding.low:.3f}, {finding.high:.3f}]"
    return f"{finding.value:.3f}{interval}"


def advise(judgement: Judgement, checkpoint: Path) -> Iterator[str]:
    """What may help, a sentence each; of the training itself by what its validations showed.

    Args:
        checkpoint: the phase's folder.
    """
    phase, missed = judgement.phase, [finding.figure for finding in judgement.missed]
    if any(name.startswith(FORGETTING) for name in missed):
        yield (f"what was forgotten: raise phases.{phase}.replay_share or replay_kl_weight, or lower its learning_rate "
               "(docs/training.md, Keeping the base's languages)")
    if any(name.startswith(ENDINGS) for name in missed):
        yield f"ends and lengths: listen to data/evaluation/{phase}/samples before anything else"
    if any(not name.startswith((*FORGETTING, *ENDINGS)) for name in missed):
        yield f"what was learned: {tell_training(phase, checkpoint)}"
    yield f"a limit too tight: edit gate_phase.{phase}.limits; the phase is judged anew and not trained anew"
    if judgement.handed_on is None:
        yield f"to go on from {judgement.gate.previous} instead: gate_phase.{phase}.on_failure: fall_back"


def tell_training(phase: str, checkpoint: Path) -> str:
    """Whether the phase was still learning when it ended."""
    summary = read_json(checkpoint / "summary.json")
    best, last = summary["handed_on"]["best_step"], summary["steps"]
    if best is None or validations(checkpoint) < 3:
        return f"give phases.{phase} more epochs, and look at {checkpoint / 'curves.csv'}"
    if best == last:
        return f"its last validation was its best, so that more of phases.{phase}.epochs may help"
    return (f"its best validation was at step {best} of {last}, so that more epochs will hardly help; lower "
            f"phases.{phase}.learning_rate, or give it more speech")


def validations(checkpoint: Path) -> int:
    """How often a phase was validated."""
    return sum(1 for point in read_csv(checkpoint / "curves.csv") if point.get("validation_code_cross_entropy"))
