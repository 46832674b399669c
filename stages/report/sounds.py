"""Audio for the page: FLAC bytes to embed, and spectrograms as plain pixels.

Shapes: S samples, T frames, F frequency bins.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from matplotlib import colormaps
from matplotlib.image import imsave

from stages.core.errors import UserError

WINDOW_SECONDS, HOP_SECONDS = 0.025, 0.01
RANGE_DECIBELS = 70.0
COLOURS = "magma"


@dataclass(frozen=True)
class Sound:
    """Mono audio [S] in -1..1; S is 0 where a model stopped before it said anything."""

    samples: np.ndarray
    rate_hz: int

    @property
    def duration_seconds(self) -> float:
        return len(self.samples) / self.rate_hz


def read_sound(path: Path) -> Sound:
    """Read a file as mono.

    Raises:
        UserError: the file is missing or is no audio.
    """
    try:
        samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise UserError(f"{path}: cannot read audio: {error}") from None
    return Sound(samples.mean(axis=1), rate_hz)


def encode_flac(sound: Sound) -> bytes:
    """16-bit FLAC, which every browser plays and which is half of a WAV."""
    stream = io.BytesIO()
    soundfile.write(stream, sound.samples, sound.rate_hz, format="FLAC", subtype="PCM_16")
    return stream.getvalue()


def spectrogram(sound: Sound) -> np.ndarray:
    """Level below the loudest point, scaled from RANGE_DECIBELS..0 dB to 0..1; [F, T], lowest frequency first."""
    window, hop = round(WINDOW_SECONDS * sound.rate_hz), round(HOP_SECONDS * sound.rate_hz)
    padded = np.pad(sound.samples, (window // 2, window))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[: len(sound.samples) : hop]
    points = 2 ** int(np.ceil(np.log2(window)))
    magnitude = np.abs(np.fft.rfft(frames * np.hanning(window), points)).T
    decibels = 20 * np.log10(np.maximum(magnitude, 1e-9) / magnitude.max(initial=1e-9))
    return np.clip(1 + decibels / RANGE_DECIBELS, 0, 1)


def draw_spectrogram(sound: Sound, width_seconds: float, path: Path) -> None:
    """Write a PNG of pixels alone: 10 ms a column, 0 Hz at the bottom, clear beyond the sound's end.

    Args:
        width_seconds: time that the full width stands for, so that pictures of one sentence share a scale.
    """
    levels = spectrogram(sound)
    columns = max(levels.shape[1], round(width_seconds / HOP_SECONDS))
    canvas = np.zeros((levels.shape[0], columns, 4), dtype=np.uint8)
    canvas[:, : levels.shape[1]] = colormaps[COLOURS](levels, bytes=True)
    imsave(path, canvas, origin="lower", format="png", metadata={"Software": ""})
