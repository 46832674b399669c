"""Short-time level of speech: what is loud in an utterance and what is silence.

S samples, F frames of `FRAME_SECONDS`.
"""

import torch
from torch import Tensor

FRAME_SECONDS = 0.02
LOUD_QUANTILE = 0.95
"""The level that 5 % of the frames exceed stands for the utterance's own loud part: single clicks do not move it."""

FLOOR_DB = -120.0


def frame_samples(rate_hz: int) -> int:
    """Samples of one frame."""
    return max(1, round(FRAME_SECONDS * rate_hz))


def frame_levels_db(audio: Tensor, rate_hz: int) -> Tensor:
    """Level of each frame [F] of audio [S], F = ceil(S / frame), in dB of full scale (a square wave has 0).

    A constant offset of the whole signal does not count; the last frame is the mean of what it has.
    """
    size = frame_samples(rate_hz)
    power = (audio.double() - audio.double().mean()).square()
    whole = len(power) // size * size
    means = power[:whole].reshape(-1, size).mean(dim=1)
    if whole < len(power):
        means = torch.cat([means, power[whole:].mean().unsqueeze(0)])
    return (10 * torch.log10(means)).clamp(min=FLOOR_DB)


def loud_level_db(levels_db: Tensor) -> float:
    """Level of the loud part, from the levels of the frames [F]."""
    place = min(int(LOUD_QUANTILE * len(levels_db)), len(levels_db) - 1)
    return float(levels_db.sort().values[place])


def audible_frames(audio: Tensor, rate_hz: int, below_db: float) -> Tensor:
    """Which frames [F] of audio [S] are no more than `below_db` under the loud part."""
    levels = frame_levels_db(audio, rate_hz)
    return levels >= max(loud_level_db(levels) - below_db, FLOOR_DB + 1)
