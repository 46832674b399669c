"""The page's first words: what was trained, on how much, how good it is, what was forgotten; all told from figures."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from stages.report.config import Config
from stages.report.costs import tell_costs
from stages.report.gates import tell_gates, tell_set_aside
from stages.report.gather import Findings, Phase, Result
from stages.report.measures import (
    KNOWN,
    Metric,
    compare,
    metrics_of,
    overlap,
    went_wrong_way,
    write_interval,
    write_value,
)

NOTHING_WORSE = "No figure that was measured before and after training."
UNITS = ("phone", "character")


@dataclass(frozen=True)
class Point:
    """A question with its answers; `folded` ones are shown on demand."""

    question: str
    answers: list[str]
    folded: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Verdict:
    """A headline, then questions."""

    headline: str
    points: list[Point]


def reach_verdict(findings: Findings, config: Config) -> Verdict:
    """Put the findings into plain words."""
    return Verdict(tell_headline(findings), [
        Point("What was trained", [*tell_schedule(findings.phases), *tell_gates(findings.gates)]),
        Point("On how much", [*tell_corpus(findings, config), tell_costs([phase.cost for phase in findings.phases])]),
        Point("How good it is", [*tell_speech(findings), *tell_fit(findings), *tell_emotion(findings)]),
        Point("What was forgotten", [tell_forgetting(findings), *tell_drift(findings)]),
        Point("What got worse", list(tell_worse(findings.base, findings.final)) or [NOTHING_WORSE],
              [told for phase in findings.phases for told in tell_step(findings, phase)]),
        Point("What this does not show", [config.caution]),
    ])


def say(result: Result, name: str) -> str:
    """A figure with its interval: `31.2 % (28.0 to 34.1 %)`."""
    measure, metric = result.measure(name), KNOWN[name]
    interval = write_interval(measure, metric)
    return write_value(measure.mean, metric) + (f" ({interval})" if interval else "")


def spoken_error(findings: Findings) -> Metric:
    """The judge's error on sampled speech: of phones, or of characters where the judge writes words."""
    names = [f"{unit}_error_rate" for unit in UNITS]
    return KNOWN[next((name for name in names if findings.final.measure(name).mean is not None), names[0])]


def tell_headline(findings: Findings) -> str:
    """The judge's error at the end, beside the base's and the floor."""
    schedule = (" → ".join(findings.lineage) or "no phase") + tell_set_aside(findings.gates)
    error = spoken_error(findings)
    after, before = (result.measure(error.name).mean for result in (findings.final, findings.base))
    floor = findings.final.measure(f"reference_{error.name}").mean
    if after is None:
        return f"After {schedule}, the phone error of sampled speech is unmeasured"
    beside = f"untouched base {write_value(before, error)}, reference audio {write_value(floor, error)}"
    unit = error.name.removesuffix("_error_rate")
    return f"After {schedule}, the judge hears {write_value(after, error)} of the {unit}s wrong ({beside})"


def tell_schedule(phases: list[Phase]) -> list[str]:
    """The phases in order, with what each trained."""
    tokens = sum(phase.tokens_seen for phase in phases)
    return [f"{count(len(phases), 'phase')}, {tokens:,} tokens seen in all:",
            *(f"{phase.name}: {tell_phase(phase)}" for phase in phases)]


def tell_phase(phase: Phase) -> str:
    """Approach, length, rate and trained share of one phase."""
    approach = {"lora": "LoRA", "full": "full fine-tuning"}.get(phase.settings["approach"], phase.settings["approach"])
    return (f"{approach} from {phase.start_from}, {count(phase.settings['epochs'], 'epoch')}, "
            f"peak learning rate {phase.settings['learning_rate']:g}, "
            f"{phase.summary['parameters']['trained_percent']:.3g} % of the parameters")


def tell_corpus(findings: Findings, config: Config) -> list[str]:
    """Hours, speakers, and what was held out."""
    hours, speakers = findings.corpus.hours, findings.corpus.speakers
    return [f"{write_hours(hours.get('train', 0))} of training speech by {count(len(speakers), 'speaker')}; "
            f"{config.speech}.",
            f"Held out by text, so that no speaker reads it in training: {write_hours(hours.get('validation', 0))} for "
            f"validation, {write_hours(hours.get('test', 0))} for test."]


def tell_speech(findings: Findings) -> list[str]:
    """What the judge heard, between its floor and the base's ceiling."""
    final = findings.final
    if not any(result.samples for result in findings.results):
        return ["Phone error of sampled speech: unmeasured. This base brings no decoder and no judge of its own, so "
                "sampled codes were not turned into sound.",
                f"Utterances that end by themselves: {say(final, 'stop_rate')}."]
    name = spoken_error(findings).name
    told = [f"{KNOWN[name].label} of sampled speech: {say(final, name)}.",
            f"The same judge errs on {say(final, f'reference_{name}')} of the reference audio (its floor), "
            f"and on {say(final, f'codes_{name}')} of reference codes turned back into sound (what a perfect "
            "model on this base would get).",
            f"Utterances that end by themselves: {say(final, 'stop_rate')}; skipped words: "
            f"{say(final, 'skipped_word_rate')}; repeated: {say(final, 'repeated_word_rate')}."]
    errors = {result.name: result.measure(name).mean for result in findings.results}
    measured = {phase: error for phase, error in errors.items() if error is not None}
    best = min(measured, key=lambda phase: measured[phase], default=final.name)
    if final.name in measured and measured[best] < measured[final.name]:
        lowest = say(findings.result(best), name)
        told.append(f"The lowest {KNOWN[name].label.lower()} is not the last: {lowest} at {best}.")
    return told


def tell_emotion(findings: Findings) -> list[str]:
    """What the emotion vector does, beside what chance does and what was intended; nothing where unmeasured."""
    final = findings.final
    if final.measure("emotion_code_change").mean is None:
        return []
    codes, chance = say(final, "emotion_code_change"), say(final, "seed_code_change")
    length, intended = (say(final, f"{kind}emotion_duration_ratio") for kind in ("", "intended_"))
    return [f"The emotion vector of a lively reading in place of a calm one's changes {codes} of the codes, another "
            f"seed {chance}; speech becomes {length} times as long, the readings themselves are {intended} times."]


def tell_fit(findings: Findings) -> list[str]:
    """Cross-entropy and top-1, before and after, and whether the text matters."""
    base, final = findings.base, findings.final
    told = [f"Code cross-entropy on held-out text: {say(base, 'code_cross_entropy')} before, "
            f"{say(final, 'code_cross_entropy')} nats a code after; top-1 {say(final, 'code_top1')}."]
    swapped, right = final.measure("swapped_text_cross_entropy"), final.measure("code_cross_entropy")
    if swapped.mean is None or right.mean is None:
        return told
    gap = swapped.mean - right.mean
    if gap <= 0:
        reads = "the model does not use its text"
    elif overlap(swapped, right):
        reads = "no clear sign that the model reads its text, the intervals overlap"
    else:
        reads = "the model reads its text"
    return [*told, f"With another utterance's text it changes by {gap:+.2f} nats: {reads}."]


def tell_forgetting(findings: Findings) -> str:
    """The base's own languages, before and after."""
    name = "base_language_cross_entropy"
    before, after = findings.base.measure(name), findings.final.measure(name)
    if before.mean is None or after.mean is None:
        return "Unmeasured: no figure for the base's own languages before and after."
    judged = {"better": "better", "worse": "clearly worse", "same": "the same", "unmeasured": "",
              "unclear": "no clear change, the intervals overlap"}[compare(before, after, KNOWN[name])]
    languages = ", ".join(findings.corpus.base_languages)
    told = (f"Cross-entropy in the base's own languages ({languages}): {say(findings.base, name)} before, "
            f"{say(findings.final, name)} nats a code after: {judged}.")
    parts = [f"{kind} {findings.base.measure(part).mean:.2f} to {findings.final.measure(part).mean:.2f}"
             for kind, part in (("with replay", "replayed_language_cross_entropy"),
                                ("without", "unreplayed_language_cross_entropy"))
             if findings.base.measure(part).mean is not None and findings.final.measure(part).mean is not None]
    return f"{told} Languages {'; '.join(parts)}." if len(parts) == 2 else told


def tell_drift(findings: Findings) -> list[str]:
    """Speech in the base's languages, and the latents behind it; nothing where unmeasured."""
    told = []
    for unit in UNITS:
        name = f"base_language_{unit}_error_rate"
        if findings.final.measure(name).mean is not None:
            told.append(f"{KNOWN[name].label} of sampled speech: {say(findings.base, name)} before, "
                        f"{say(findings.final, name)} after.")
    if findings.final.measure("latent_relative_l2").mean is not None:
        moved = say(findings.final, "latent_relative_l2")
        told.append(f"The latents that s2mel reads moved by {moved} of their length.")
    return told


def tell_step(findings: Findings, phase: Phase) -> Iterator[str]:
    """What a phase made worse; nothing where it is the whole schedule, of which the same is told already."""
    before, after = findings.result(phase.start_from), findings.result(phase.name)
    if (before, after) != (findings.base, findings.final):
        yield from tell_worse(before, after)


def tell_worse(before: Result, after: Result) -> Iterator[str]:
    """What moved the wrong way, as far as the written figures show it; apart what may be chance."""
    pairs = [(metric, before.measure(metric.name), after.measure(metric.name))
             for metric in metrics_of([before.measures, after.measures]) if not metric.limit]
    worse = [pair for pair in pairs if went_wrong_way(pair[1], pair[2], pair[0])]
    for doubt, chance in (("", False), (", within overlapping intervals", True)):
        told = [f"{metric.label} {old} to {new}" + (" (no intervals)" if start.low is None or end.low is None else "")
                for metric, start, end in worse if overlap(start, end) == chance
                for old, new in [(write_value(start.mean, metric), write_value(end.mean, metric))] if old != new]
        if told:
            yield f"{before.name} to {after.name}{doubt}: {'; '.join(told)}."


def count(number: int, noun: str) -> str:
    """`1 phase`, `3 phases`."""
    return f"{number} {noun}" if number == 1 else f"{number:,} {noun}s"


def write_hours(hours: float) -> str:
    """Minutes where hours would hide the smallness."""
    return f"{hours:.1f} hours" if hours >= 2 else f"{60 * hours:.1f} minutes"
