"""Audio files: mono, FLAC, 16 bit where written; where read, whatever libsndfile reads, within bounds of memory."""

import io
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import torch
import torchaudio
from torch import Tensor

from stages.core.errors import UserError

LOWEST_HZ, HIGHEST_HZ = 4_000, 384_000
FILTER_VALUES_MAX = 2**25
"""Coefficients of one resampling filter: rates that share no factor would need gigabytes."""

BLOCK_SAMPLES = 2**16


def rate_problem(from_hz: int, to_hz: int | None = None) -> str:
    """Why audio of a rate cannot be read or, where another is given, cannot be brought to that one; else empty."""
    if not LOWEST_HZ <= from_hz <= HIGHEST_HZ:
        return f"sample rate out of range: {from_hz} Hz, {LOWEST_HZ} to {HIGHEST_HZ} are read"
    to_hz = to_hz or from_hz
    common = math.gcd(from_hz, to_hz)
    if from_hz // common * (to_hz // common) > FILTER_VALUES_MAX:
        return f"sample rate without a ratio: {from_hz} Hz to {to_hz} Hz, whose factor is {common}"
    return ""


def resample(samples: np.ndarray | Tensor, from_hz: int, to_hz: int) -> Tensor:
    """Mono samples [S] to another rate."""
    return torchaudio.functional.resample(torch.as_tensor(samples), from_hz, to_hz)


def write_audio(path: Path, audio: Tensor, sample_rate_hz: int) -> None:
    """Write mono audio [S] in -1..1; louder samples are clipped."""
    soundfile.write(path, audio.clamp(-1, 1).numpy(), sample_rate_hz, subtype="PCM_16")


def encode_flac(audio: Tensor, sample_rate_hz: int) -> bytes:
    """The bytes of a FLAC file of mono audio [S] in -1..1, 16 bit; louder samples are clipped.

    Written by Python they tell a full disk, which libsndfile may pass over in silence.
    """
    buffer = io.BytesIO()
    soundfile.write(buffer, audio.clamp(-1, 1).numpy(), sample_rate_hz, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def mono_blocks(sound: soundfile.SoundFile, start: int, end: int) -> Iterator[np.ndarray]:
    """The frames from `start` to `end` or the file's end, channels averaged; what comes before is read and dropped."""
    place = sound.tell()
    while place < end:
        block = sound.read(min(BLOCK_SAMPLES, end - place), dtype="float32", always_2d=True)
        if len(block) == 0:
            return
        yield block[max(start - place, 0) :].mean(axis=1)
        place += len(block)


def read_audio(path: Path, sample_rate_hz: int, seconds_max: float = math.inf) -> Tensor:
    """Read a file, or its first `seconds_max`, as mono float32 [S] at `sample_rate_hz`.

    Raises:
        UserError: the file is missing or no audio, or its rate cannot be brought to the wanted one.
    """
    try:
        with soundfile.SoundFile(path) as sound:
            if problem := rate_problem(rate := sound.samplerate, sample_rate_hz):
                raise UserError(f"{path}: {problem}")
            blocks = list(mono_blocks(sound, 0, math.ceil(min(seconds_max * rate, sound.frames))))
    except (soundfile.SoundFileError, OSError) as error:
        raise UserError(f"{path}: cannot read audio: {error}") from None
    return resample(np.concatenate([np.zeros(0, np.float32), *blocks]), rate, sample_rate_hz)
