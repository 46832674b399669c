"""Figures with their uncertainty.

The utterances of one sentence are no independent witnesses: readings and draws of it share its words. The unit that the
bootstrap draws is therefore the sentence, with everything that was measured on it (Davison and Hinkley, 1997, 3.8).
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from stages.core.artifacts.figures import FIGURES, HEADLINE

RESAMPLES = 1000


class Figure(TypedDict):
    """A mean with its 95 % interval over `sentences`, from `n` values."""

    mean: float
    low: float | None
    high: float | None
    n: int
    sentences: int


@dataclass(frozen=True)
class Measured:
    """One value on one utterance: a share of `weight`, or a plain value of weight 1.

    Attributes:
        sentence: whatever tells its sentence from the others.
        amount: the numerator, such as errors.
        weight: the denominator, such as phones; a value of weight 0 says nothing and is left out.
    """

    sentence: Hashable
    amount: float
    weight: float = 1.0


Values = dict[str, list[Measured]]


def make_figures(values: Mapping[str, Sequence[Measured]], seed: int) -> dict[str, Figure | None]:
    """Every figure of `FIGURES`, null where nothing was measured.

    Raises:
        ValueError: a value under a name that is no figure.
    """
    if unknown := values.keys() - set(FIGURES):
        raise ValueError(f"no figures: {', '.join(sorted(unknown))}")
    return {name: make_figure(values.get(name, ()), seed) for name in FIGURES}


def take_headline(figures: Mapping[str, Figure | None]) -> dict[str, float]:
    """The means of `HEADLINE` that were measured."""
    return {name: figure["mean"] for name in HEADLINE if (figure := figures[name])}


def make_figure(values: Iterable[Measured], seed: int) -> Figure | None:
    """Sum of amounts over sum of weights, with a 95 % percentile bootstrap interval over sentences (Efron, 1979).

    Returns:
        mean, low, high, n (values), sentences; None without a value; low and high are None with a single sentence.
    """
    sums: dict[Hashable, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for value in values:
        if value.weight > 0:
            held = sums[value.sentence]
            held[:] = held[0] + value.amount, held[1] + value.weight, held[2] + 1
    if not sums:
        return None
    table = np.asarray(list(sums.values()))
    amount, weight, count = table.sum(axis=0).tolist()
    low, high = bootstrap(table[:, :2], seed) if len(table) > 1 else (None, None)
    return {"mean": round(amount / weight, 6), "low": low, "high": high, "n": int(count), "sentences": len(table)}


def bootstrap(table: np.ndarray, seed: int) -> tuple[float, float]:
    """The 95 % interval of a ratio of sums, rows [sentences, 2] drawn with replacement."""
    drawn = np.random.default_rng(seed).integers(len(table), size=(RESAMPLES, len(table)))
    sums = table[drawn].sum(axis=1)
    low, high = np.quantile(sums[:, 0] / sums[:, 1], [0.025, 0.975])
    return round(float(low), 6), round(float(high), 6)
