"""The runs side by side: figures over seeds, quality relative to the reference, spreads, what was forgotten.

Intervals are 95 % ones of Student's t over seeds; where two strategies are compared, over the differences or ratios of
runs with the same seed and corpus.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from stages.core.artifacts.figures import number_of

CODES, PHONES, BASE_CODES = "code_cross_entropy", "phone_error_rate", "base_language_cross_entropy"
QUALITY = (CODES, PHONES)
COST = ("trained_parameters", "training_memory_gib", "peak_memory_gib", "tokens_per_second", "training_seconds",
        "tokens_seen")


@dataclass(frozen=True)
class Result:
    """A finished run.

    Attributes:
        approaches: of its phases.
        figures: name -> value; None where unmeasured, all of them where the training diverged.
    """

    strategy: str
    corpus: str
    seed: int
    rate_factor: float
    approaches: tuple[str, ...]
    replays: bool
    diverged: bool
    figures: Mapping[str, float | None]

    def get(self, name: str) -> float | None:
        return self.figures.get(name)


@dataclass(frozen=True)
class Figure:
    """A mean over seeds with its 95 % interval (None with fewer than two) and the range of the values."""

    mean: float
    low: float | None
    high: float | None
    least: float
    most: float
    n: int

    @property
    def spread(self) -> float:
        """From the least to the most."""
        return self.most - self.least


def parse_result(metrics: Mapping[str, Any]) -> Result:
    """A run's metrics.json as a result."""
    run, evaluation = metrics["run"], metrics["evaluation"]
    figures: dict[str, float | None] = {name: metrics[name] for name in COST}
    figures |= {name: number_of(value) for name, value in evaluation.items()}
    return Result(run["strategy"], run["corpus"], run["seed"], run["rate_factor"], tuple(run["approaches"]),
                  run["replays"], metrics["diverged"] is not None, figures)


def figure_of(values: Sequence[float | None]) -> Figure | None:
    """Mean and interval; None (unmeasured) where a value is missing or there is none."""
    held = [value for value in values if value is not None]
    if not held or len(held) < len(values):
        return None
    mean, low, high = fmean(held), None, None
    if len(held) > 1:
        from scipy.stats import t

        half = float(t.ppf(0.975, len(held) - 1)) * stdev(held) / math.sqrt(len(held))
        low, high = mean - half, mean + half
    return Figure(mean, low, high, min(held), max(held), len(held))


class Comparison:
    """All results, and the untouched base's figures.

    Args:
        reference: strategy that quality is relative to.
    """

    def __init__(self, results: Sequence[Result], base: Mapping[str, float | None], reference: str):
        self.results, self.base, self.reference = results, base, reference
        self.strategies = list(dict.fromkeys(result.strategy for result in results))
        self.corpora = list(dict.fromkeys(result.corpus for result in results))

    def by_seed(self, strategy: str, corpus: str) -> dict[int, Result]:
        """Runs at the strategy's own learning rates."""
        return {one.seed: one for one in self.results
                if (one.strategy, one.corpus, one.rate_factor) == (strategy, corpus, 1.0)}

    def first(self, strategy: str) -> Result:
        """Any run of the strategy, for what they all share."""
        return next(one for one in self.results if one.strategy == strategy)

    def figure(self, strategy: str, corpus: str, name: str) -> Figure | None:
        """A figure over seeds."""
        return figure_of([one.get(name) for one in self.by_seed(strategy, corpus).values()])

    def paired(
        self, one: str, other: str, corpus: str, name: str, combine: Callable[[float, float], float | None]
    ) -> Figure | None:
        """A figure of pairs of runs with the same seed."""
        ours, theirs = self.by_seed(one, corpus), self.by_seed(other, corpus)
        pairs = [(run.get(name), theirs[seed].get(name)) for seed, run in ours.items() if seed in theirs]
        return figure_of([None if ours is None or theirs is None else combine(ours, theirs) for ours, theirs in pairs])

    def advantage(self, one: str, other: str, corpus: str, name: str) -> Figure | None:
        """How much lower (better) the error of one strategy is than another's."""
        return self.paired(one, other, corpus, name, lambda ours, theirs: theirs - ours)

    def quality(self, strategy: str, corpus: str, name: str) -> Figure | None:
        """Share of the reference's gain over the untouched base: 1 is as good, 0 is no better than the base."""
        before = self.base.get(name)
        if before is None:
            return None
        return self.paired(strategy, self.reference, corpus, name, lambda ours, theirs:
                           (before - ours) / (before - theirs) if theirs < before else None)

    def forgetting(self, strategy: str, corpus: str) -> Figure | None:
        """Rise of the cross-entropy in the base's languages over the untouched base's, nats a code."""
        before = self.base.get(BASE_CODES)
        if before is None:
            return None
        return figure_of([None if (value := one.get(BASE_CODES)) is None else value - before
                          for one in self.by_seed(strategy, corpus).values()])

    def over_rates(self, strategy: str, name: str) -> dict[float, float | None]:
        """A figure by learning-rate factor, at the seed and corpus of the runs whose rates were changed."""
        changed = [one for one in self.results if one.strategy == strategy and one.rate_factor != 1]
        if not changed:
            return {}
        usual = self.by_seed(strategy, changed[0].corpus).get(changed[0].seed)
        runs = [*changed, *([usual] if usual else [])]
        return {one.rate_factor: one.get(name) for one in sorted(runs, key=lambda one: one.rate_factor)}

    def rate_spread(self, strategy: str, name: str) -> float | None:
        """From the least to the most over learning rates; None where one diverged or was not run."""
        values = list(self.over_rates(strategy, name).values())
        held = [value for value in values if value is not None]
        return max(held) - min(held) if len(held) > 1 and len(held) == len(values) else None

    def best(self, corpus: str, name: str) -> str | None:
        """The strategy with the least mean error."""
        figures = {strategy: self.figure(strategy, corpus, name) for strategy in self.strategies}
        measured = {strategy: figure.mean for strategy, figure in figures.items() if figure}
        return min(measured, key=lambda strategy: measured[strategy], default=None)

    def diverged(self) -> list[Result]:
        """Runs whose training came to nothing."""
        return [one for one in self.results if one.diverged]
