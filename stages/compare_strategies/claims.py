"""Claims about LoRA, full and hybrid training, each answered by what the runs gave: nothing here knows the answer."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from stages.compare_strategies.comparison import BASE_CODES, CODES, PHONES, QUALITY, Comparison, Figure

Verdict = Literal["supported", "not supported", "undecided", "unmeasured"]
MEMORY_CUT_MIN, SPEED_TIMES_MIN, TRAINED_SHARE_MAX, COVERAGE_MIN = 0.6, 3.0, 0.0015, 0.999
LORA_GB, FULL_GB = (8, 12), (24, 32)
RELEASED_PARAMETERS = 400_000_000  # claims in GB speak of the released size; a smaller base says nothing on them
BYTES_A_GIB = 2**30
WORDS = {CODES: "code cross-entropy", PHONES: "phone error", BASE_CODES: "base-language cross-entropy"}


@dataclass(frozen=True)
class Answer:
    """A claim, what was measured, where, and what follows."""

    claim: str
    measured: str
    on: str
    verdict: Verdict


def answer_claims(comparison: Comparison, scale: Mapping[str, Any]) -> list[Answer]:
    """Every claim, on every corpus and measure that it can be asked on.

    Args:
        scale: `corpora` (name -> words on it), `model` (words on it), `parameters`, `vocabulary` (its metrics).
    """
    return [*cost_claims(comparison, scale), coverage_claim(scale), *quality_claims(comparison, scale),
            *hybrid_claims(comparison, scale), *replay_claims(comparison, scale)]


def at_least(figure: Figure | None, bound: float) -> Verdict:
    """Whether a mean lies at or above a bound; undecided where its interval holds the bound, or there is none."""
    if figure is None:
        return "unmeasured"
    if figure.low is None or figure.high is None or figure.low < bound <= figure.high:
        return "undecided"
    return "supported" if figure.low >= bound else "not supported"


def holds(value: float | None, condition: bool) -> Verdict:
    """The verdict on a plain figure."""
    return "unmeasured" if value is None else "supported" if condition else "not supported"


def of_kind(comparison: Comparison, kind: Literal["lora", "full", "hybrid"]) -> list[str]:
    """Strategies all of whose phases are LoRA, or full, or that have both; those that replay where there are any."""
    found = []
    for strategy in comparison.strategies:
        approaches = set(comparison.first(strategy).approaches)
        if ("hybrid" if len(approaches) > 1 else approaches.pop()) == kind:
            found.append(strategy)
    return [name for name in found if comparison.first(name).replays] or found


def largest(comparison: Comparison) -> str:
    return comparison.corpora[-1]


def cost_claims(comparison: Comparison, scale: Mapping[str, Any]) -> Iterator[Answer]:
    """Memory, speed and trained share of LoRA against full."""
    corpus = largest(comparison)
    on = f"{scale['model']}; {corpus} corpus"
    loras, fulls = of_kind(comparison, "lora")[:1], of_kind(comparison, "full")[:1]

    def mean(names: list[str], figure: str) -> float | None:
        held = comparison.figure(names[0], corpus, figure) if names else None
        return held.mean if held else None

    memory = [mean(names, "training_memory_gib") for names in (loras, fulls)]
    cut = 1 - memory[0] / memory[1] if memory[0] is not None and memory[1] else None
    change = None if cut is None else f"{abs(cut):.0%} {'less' if cut >= 0 else 'more'}"
    yield Answer("LoRA cuts memory by 60-80 %", change or "unmeasured", f"{on}; over what the process held before",
                 holds(cut, cut is not None and cut >= MEMORY_CUT_MIN))
    speed = [mean(names, "tokens_per_second") for names in (loras, fulls)]
    times = speed[0] / speed[1] if speed[0] is not None and speed[1] else None
    yield Answer("LoRA is 3-5 times faster", say(times, "{:.2f} times the tokens a second"), on,
                 holds(times, times is not None and times >= SPEED_TIMES_MIN))
    released = scale["parameters"] >= RELEASED_PARAMETERS
    gigabytes = [held * BYTES_A_GIB / 1e9 if released and held is not None else None for held in memory]
    fits = all(held is not None and low <= held <= high
               for held, (low, high) in zip(gigabytes, (LORA_GB, FULL_GB), strict=True))
    told = " against ".join(say(held, "{:.1f} GB") for held in gigabytes) if released else "speaks of the released size"
    yield Answer("8-12 GB against 24-32 GB", told, on, holds(None if None in gigabytes else 1.0, fits))
    trained = mean(loras, "trained_parameters")
    share = trained / scale["parameters"] if trained is not None else None
    yield Answer("LoRA trains 0.1 % of the parameters", say(share, "{:.2%}, rows of new pieces included"), on,
                 holds(share, share is not None and share < TRAINED_SHARE_MAX))


def coverage_claim(scale: Mapping[str, Any]) -> Answer:
    """Characters of held-out text that are pieces."""
    coverage = scale["vocabulary"].get("held_out_character_coverage")
    return Answer("the vocabulary covers 99.9 % of characters", say(coverage, "{:.2%} of held-out text"),
                  f"{scale['vocabulary'].get('new_pieces', '?')} new pieces",
                  holds(coverage, coverage is not None and coverage >= COVERAGE_MIN))


def quality_claims(comparison: Comparison, scale: Mapping[str, Any]) -> Iterator[Answer]:
    """LoRA's quality as a share of the reference's gain over the untouched base."""
    for strategy in of_kind(comparison, "lora")[:1]:
        for bound in (0.95, 0.85):
            for corpus, measure in asked_on(comparison):
                figure = comparison.quality(strategy, corpus, measure)
                yield Answer(f"{strategy} reaches {bound:.0%} of {comparison.reference}'s quality",
                             f"{say_figure(figure, '{:.0%}')} of its gain in {WORDS[measure]}",
                             f"{scale['model']}; {scale['corpora'][corpus]}", at_least(figure, bound))


def hybrid_claims(comparison: Comparison, scale: Mapping[str, Any]) -> Iterator[Answer]:
    """Whether a schedule of both beats each of its parts, and what it forgets beside them."""
    for hybrid in of_kind(comparison, "hybrid")[:1]:
        for other in of_kind(comparison, "full")[:1] + of_kind(comparison, "lora")[:1]:
            for corpus, measure in asked_on(comparison):
                figure = comparison.advantage(hybrid, other, corpus, measure)
                yield Answer(f"{hybrid} is better than {other}", say_advantage(WORDS[measure], figure),
                             f"{scale['model']}; {scale['corpora'][corpus]}", at_least(figure, 0.0))
            yield from forgets_less(comparison, scale, hybrid, other)


def replay_claims(comparison: Comparison, scale: Mapping[str, Any]) -> Iterator[Answer]:
    """Whether replay keeps the base's languages: strategies that differ in nothing else that the results tell."""
    for strategy in comparison.strategies:
        own = comparison.first(strategy)
        for other in comparison.strategies:
            without = comparison.first(other)
            if own.replays and not without.replays and own.approaches == without.approaches:
                yield from forgets_less(comparison, scale, strategy, other)


def forgets_less(comparison: Comparison, scale: Mapping[str, Any], one: str, other: str) -> Iterator[Answer]:
    """The base's languages after two strategies."""
    for corpus in comparison.corpora:
        figure = comparison.advantage(one, other, corpus, BASE_CODES)
        yield Answer(f"{one} forgets less than {other}", say_advantage(WORDS[BASE_CODES], figure),
                     f"{scale['model']}; {scale['corpora'][corpus]}", at_least(figure, 0.0))


def asked_on(comparison: Comparison) -> Iterator[tuple[str, str]]:
    """Each corpus with each measure of quality."""
    for corpus in comparison.corpora:
        for measure in QUALITY:
            yield corpus, measure


def say_advantage(name: str, figure: Figure | None) -> str:
    """How much less of a figure the first of two strategies has, for people."""
    if figure is None:
        return f"{name} unmeasured"
    if figure.mean >= 0:
        return f"{name} lower by {say_figure(figure)}"
    low, high = (None if bound is None else -bound for bound in (figure.high, figure.low))
    return f"{name} higher by {say_figure(replace(figure, mean=-figure.mean, low=low, high=high))}"


def say(value: float | None, form: str) -> str:
    """A figure for people."""
    return "unmeasured" if value is None else form.format(value)


def say_figure(figure: Figure | None, form: str = "{:.3f}") -> str:
    """A mean with its interval for people: `0.12 (0.10 to 0.14)`."""
    if figure is None:
        return "unmeasured"
    mean = form.format(figure.mean)
    if figure.low is None or figure.high is None:
        return f"{mean} (one seed)"
    return f"{mean} ({form.format(figure.low)} to {form.format(figure.high)})"
