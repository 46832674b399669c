"""Audio files: mono, FLAC, 16 bit."""

import io
from pathlib import Path

import numpy as np
import soundfile
import torch
import torchaudio
from torch import Tensor

from stages.core.errors import UserError


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


def read_audio(path: Path, sample_rate_hz: int) -> Tensor:
    """Read a file as mono float32 [S] at `sample_rate_hz`.

    Raises:
        UserError: the file is missing or no audio.
    """
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise UserError(f"{path}: cannot read audio: {error}") from None
    return resample(samples.mean(axis=1), rate, sample_rate_hz)
