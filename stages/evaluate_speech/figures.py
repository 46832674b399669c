"""Figures with their uncertainty."""

from collections.abc import Sequence

import numpy as np

RESAMPLES = 1000


def ratio_figure(pairs: Sequence[tuple[float, float]], seed: int) -> dict[str, float] | None:
    """Sum of numerators over sum of denominators, with a 95 % bootstrap interval over utterances (Efron, 1979).

    Args:
        pairs: (numerator, denominator) of each utterance.

    Returns:
        mean, low, high, n; None (unmeasured) where there is no utterance.
    """
    if not pairs:
        return None
    table = np.asarray(pairs, dtype=np.float64)
    drawn = np.random.default_rng(seed).integers(len(table), size=(RESAMPLES, len(table)))
    sums = table[drawn].sum(axis=1)
    low, high = np.quantile(sums[:, 0] / sums[:, 1], [0.025, 0.975])
    mean = table[:, 0].sum() / table[:, 1].sum()
    return {"mean": round(float(mean), 6), "low": round(float(low), 6), "high": round(float(high), 6), "n": len(table)}


def mean_figure(values: Sequence[float], seed: int) -> dict[str, float] | None:
    """Mean of one value an utterance, with its interval."""
    return ratio_figure([(value, 1.0) for value in values], seed)
