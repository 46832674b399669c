"""A gate: what a phase gave is handed on within the limits of the params, and otherwise not.

data/checkpoints/<phase>, data/checkpoints/<previous>, data/evaluation/{<phase>,<previous>,base}
-> data/checkpoints/<phase>_gated/    what is handed on, by hard links: the phase's checkpoint, or `previous`
       gate.json                      whose gate it is, and whose checkpoint lies there
-> data/evaluation/<phase>_gated/
       metrics.json                   figures of what is handed on
       judgement.json                 every limit, the figure under it, whether it was kept

With on_failure: stop, a phase that missed a limit ends the schedule here with its figures.
"""

import shutil
import sys
from pathlib import Path

from stages.core.artifacts.files import link_or_copy, output_folder, read_json, write_json
from stages.core.artifacts.gates import GATE_FILE, checkpoint_behind, mark_handed_on
from stages.core.errors import ParamsError, UserError
from stages.core.params.command import run_command, stage_parser
from stages.core.params.phases import BASE, gated
from stages.core.params.strict import PARAMS_FILE, load_section
from stages.core.tracking.mlflow_runs import StageRun, stage_run
from stages.gate_phase.advice import advise, tell_judgement
from stages.gate_phase.config import Config, Gate
from stages.gate_phase.judgement import Judgement, judge, validation_figures

CHECKPOINTS, EVALUATION, METRICS = Path("data/checkpoints"), Path("data/evaluation"), "metrics.json"


def main(argv: list[str] | None = None) -> int:
    parser = stage_parser("gate_phase", __doc__)
    parser.add_argument("--phase", required=True, help="a phase that has a gate")
    phase = parser.parse_args(argv).phase
    gate = find_gate(phase)
    with stage_run(f"gate_phase@{phase}", gate.model_dump(exclude_unset=True)) as run:
        judgement = judge_phase(phase, gate)
        record(run, judgement)
        print(tell_judgement(judgement), flush=True)
        hand_on(judgement)
    return 0


def find_gate(phase: str) -> Gate:
    """The gate of a phase.

    Raises:
        ParamsError: it has none.
    """
    gates = load_section(Config, "gate_phase").root
    if phase not in gates:
        known = ", ".join(gates) or "none"
        raise ParamsError(str(PARAMS_FILE), [f"gate_phase: must hold a gate for {phase} (got {known})"])
    return gates[phase]


def judge_phase(phase: str, gate: Gate) -> Judgement:
    """Hold what was measured on a phase against its gate."""
    figures = read_json(EVALUATION / phase / METRICS) | validation_figures(CHECKPOINTS / phase)
    previous, base = (read_json(EVALUATION / name / METRICS) for name in (gate.previous, BASE))
    return judge(phase, gate, figures, previous, base)


def record(run: StageRun, judgement: Judgement) -> None:
    """Put figures and outcome on the gate's run, the outcome on the schedule's run too."""
    run.log_metrics({finding.figure: finding.value for finding in judgement.findings}, step=0)
    run.set_tag("gate", judgement.outcome())
    run.parent.set_tag(f"gate.{judgement.phase}", judgement.outcome())


def hand_on(judgement: Judgement) -> None:
    """Write the outcome.

    Raises:
        UserError: the schedule is to stop.
    """
    if judgement.handed_on is None:
        missed = "; ".join(f"{finding.figure} is {finding.value:.3f}, must be {finding.rule}"
                           for finding in judgement.missed)
        advice = "".join(f"\n  - {sentence}" for sentence in advise(judgement, CHECKPOINTS / judgement.phase))
        raise UserError(f"gate_phase.{judgement.phase}: the schedule stops here: {missed}{advice}")
    for sentence in () if judgement.passed else advise(judgement, CHECKPOINTS / judgement.phase):
        print(f"  - {sentence}")
    name = gated(judgement.phase)
    with output_folder(CHECKPOINTS / name) as folder:
        link_checkpoint(CHECKPOINTS / judgement.handed_on, folder)
        mark_handed_on(folder, judgement.phase, checkpoint_behind(CHECKPOINTS / judgement.handed_on))
    with output_folder(EVALUATION / name) as folder:
        shutil.copyfile(EVALUATION / judgement.handed_on / METRICS, folder / METRICS)
        write_json(folder / "judgement.json", judgement.as_record())


def link_checkpoint(source: Path, target: Path) -> None:
    """Give every file of a checkpoint a second name, the mark of an earlier gate aside."""
    for path in sorted(source.rglob("*")):
        if path.is_file() and path.name not in (GATE_FILE, ".gitignore"):
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(path, place)


if __name__ == "__main__":
    sys.exit(run_command(main))
