"""The comparison for people, in Markdown."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from stages.compare_strategies.claims import WORDS, Answer, of_kind, say, say_figure
from stages.compare_strategies.comparison import CODES, PHONES, QUALITY, Comparison, Figure

MIB_A_GIB = 1024
Cell = Callable[[str], str]


def render_page(comparison: Comparison, scale: Mapping[str, Any], answers: Sequence[Answer]) -> str:
    """Who is best, a table a corpus, the learning rates, the claims."""
    dates = scale["dates"]
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    parts = [
        f"Measured {when}: {scale['model']}, {scale['tokens']:,} supervised tokens a run, seeds "
        f"{', '.join(map(str, scale['seeds']))}, {scale['runs']} runs, {scale['device']}. In brackets: 95 % "
        "interval over seeds.",
        "\n".join(f"- {line}" for line in tell_outcome(comparison, answers)),
        *(f"**{scale['corpora'][corpus][0].upper()}{scale['corpora'][corpus][1:]}**\n\n"
          f"{corpus_table(comparison, corpus)}" for corpus in comparison.corpora),
        *rates_part(comparison),
        "**Claims**\n\n" + markdown(("claim", "measured", "on", "verdict"), (
            (answer.claim, answer.measured, answer.on, answer.verdict) for answer in answers)),
    ]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def tell_outcome(comparison: Comparison, answers: Sequence[Answer]) -> Iterator[str]:
    """The best of each corpus, and whether a hybrid schedule wins."""
    for corpus in comparison.corpora:
        told = []
        for measure in QUALITY:
            best = comparison.best(corpus, measure)
            figure = comparison.figure(best, corpus, measure) if best else None
            told.append(f"lowest {WORDS[measure]}: {best}, {say_figure(figure)}" if best else
                        f"{WORDS[measure]}: unmeasured")
        yield f"{corpus} corpus: {'; '.join(told)}"
    for hybrid in of_kind(comparison, "hybrid")[:1]:
        asked = [answer for answer in answers if answer.claim.startswith(f"{hybrid} is better than")]
        won, lost = ([answer for answer in asked if answer.verdict == verdict]
                     for verdict in ("supported", "not supported"))
        if asked and len(won) == len(asked):
            yield f"{hybrid} wins: it is better than its parts on every corpus and measure"
        elif won:
            yield (f"{hybrid} does not win everywhere: better in {len(won)} of {len(asked)} comparisons with its "
                   f"parts, worse in {len(lost)}, undecided or unmeasured in the others")
        elif asked:
            yield (f"{hybrid} does not win: better in none of {len(asked)} comparisons with its parts, worse in "
                   f"{len(lost)}, undecided or unmeasured in the others")
    for one in comparison.diverged():
        yield f"diverged: {one.strategy}, {one.corpus} corpus, seed {one.seed}, learning rates x {one.rate_factor:g}"


def corpus_table(comparison: Comparison, corpus: str) -> str:
    """A row a question, a column a strategy."""
    def figure(name: str, form: str = "{:.3f}", scaled: float = 1.0) -> Cell:
        return lambda strategy: say_mean(comparison.figure(strategy, corpus, name), form, scaled)

    def interval(name: str, form: str = "{:.3f}") -> Cell:
        return lambda strategy: say_figure(comparison.figure(strategy, corpus, name), form)

    def quality(name: str) -> Cell:
        return lambda strategy: say_figure(comparison.quality(strategy, corpus, name), "{:.0%}")

    def seeds(name: str) -> Cell:
        return lambda strategy: say_spread(comparison.figure(strategy, corpus, name))

    rates = any(one.rate_factor != 1 and one.corpus == corpus for one in comparison.results)
    reference = comparison.reference
    rows: list[tuple[str, Cell]] = [
        ("parameters trained at most", figure("trained_parameters", "{:,.0f}")),
        ("peak memory of training, MiB", figure("training_memory_gib", "{:.0f}", MIB_A_GIB)),
        ("with what the process held before", figure("peak_memory_gib", "{:.0f}", MIB_A_GIB)),
        ("supervised tokens a second", figure("tokens_per_second", "{:,.0f}")),
        ("seconds of training", figure("training_seconds", "{:,.0f}")),
        ("supervised tokens", figure("tokens_seen", "{:,.0f}")),
        ("held-out code cross-entropy, nats", interval(CODES)),
        ("phone error", interval(PHONES)),
        (f"share of {reference}'s gain over the base, code cross-entropy", quality(CODES)),
        ("the same, phone error", quality(PHONES)),
        ("spread over seeds, code cross-entropy", seeds(CODES)),
        ("the same, phone error", seeds(PHONES)),
        *([("spread over learning rates, code cross-entropy", lambda strategy: say(
            comparison.rate_spread(strategy, CODES), "{:.3f}"))] if rates else []),
        ("rise in the base's languages, nats", lambda strategy: say_figure(comparison.forgetting(strategy, corpus))),
    ]
    return markdown(("", *comparison.strategies), (
        (label, *(cell(strategy) for strategy in comparison.strategies)) for label, cell in rows))


def rates_part(comparison: Comparison) -> list[str]:
    """Figures by learning rate, where these were changed."""
    factors = sorted({one.rate_factor for one in comparison.results})
    if len(factors) < 2:
        return []
    rows = []
    for strategy in comparison.strategies:
        for name in QUALITY:
            held = comparison.over_rates(strategy, name)
            rows.append((strategy, WORDS[name], *(say(held.get(factor), "{:.3f}") for factor in factors)))
    header = ("strategy", "measure", *(f"rates x {factor:g}" for factor in factors))
    return ["**Learning rates** (one seed)\n\n" + markdown(header, rows)]


def say_mean(figure: Figure | None, form: str, scaled: float) -> str:
    return "unmeasured" if figure is None else form.format(scaled * figure.mean)


def say_spread(figure: Figure | None) -> str:
    return "unmeasured" if figure is None or figure.n < 2 else f"{figure.spread:.3f}"


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
