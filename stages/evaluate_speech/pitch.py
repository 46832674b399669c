"""Fundamental frequency of an utterance, by Praat's autocorrelation method (Boersma, 1993) through praat-parselmouth.

Shapes: S samples.
"""

import math
from dataclasses import dataclass

import numpy as np
import parselmouth
from torch import Tensor

STEP_SECONDS = 0.02
FLOOR_HZ, CEILING_HZ = 60.0, 500.0
REFERENCE_HZ = 100.0
VOICED_FRAMES_MIN = 10
SHORTEST_SECONDS = 3 / FLOOR_HZ + STEP_SECONDS


@dataclass(frozen=True)
class Pitch:
    """Of the voiced frames, in semitones above 100 Hz: the median, and the deviation about the mean."""

    median_semitones: float
    deviation_semitones: float


def track_pitch(audio: Tensor, sample_rate_hz: int) -> Pitch | None:
    """Pitch of audio [S]; None where fewer than ten frames of 20 ms are voiced."""
    if len(audio) < SHORTEST_SECONDS * sample_rate_hz:
        return None
    sound = parselmouth.Sound(audio.double().numpy(), sampling_frequency=sample_rate_hz)
    track = sound.to_pitch_ac(time_step=STEP_SECONDS, pitch_floor=FLOOR_HZ, pitch_ceiling=CEILING_HZ)
    heard = track.selected_array["frequency"]
    voiced = 12 * np.log2(heard[heard > 0] / REFERENCE_HZ)
    if len(voiced) < VOICED_FRAMES_MIN:
        return None
    return Pitch(float(np.median(voiced)), math.sqrt(float(np.var(voiced))))
