"""Recordings that others send: small as files, and as large as they like once decoded."""

import struct
import tracemalloc

import numpy as np
import pytest
import soundfile
import torch

from stages.core.audio.files import read_audio, resample
from stages.core.errors import UserError
from stages.core.speaking.voices import read_prompt

RATE_HZ = 16_000


def noise(seconds, rate_hz=RATE_HZ, channels=1):
    return 0.1 * np.random.default_rng(1).standard_normal((round(seconds * rate_hz), channels)).astype("float32")


def write_wave(path, rate_hz, samples=2_000):
    """A WAV file whose header tells any rate."""
    content = bytes(range(1, 251)) * (2 * samples // 250)
    header = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(content), b"WAVE", b"fmt ", 16, 1, 1, rate_hz,
                         2 * rate_hz & 0xFFFFFFFF, 2, 16, b"data", len(content))
    path.write_bytes(header + content)


@pytest.mark.parametrize(("rate_hz", "told"), [
    (1, "sample rate out of range: 1 Hz"), (3_999, "sample rate out of range: 3999 Hz"),
    (2**31 - 1, "sample rate out of range: 2147483647 Hz"),
    (383_987, "sample rate without a ratio: 383987 Hz to 16000 Hz, whose factor is 1"),
])
def test_a_rate_that_would_fill_the_memory_is_refused(tmp_path, rate_hz, told):
    write_wave(tmp_path / "a.wav", rate_hz)
    with pytest.raises(UserError, match=f"a.wav: {told}"):
        read_prompt(tmp_path / "a.wav", RATE_HZ, 2.0)


@pytest.mark.parametrize("seconds_max", [0.3, 2.0])
def test_of_a_long_recording_only_the_prompt_is_decoded(tmp_path, seconds_max):
    path = tmp_path / "a.flac"
    soundfile.write(path, np.concatenate([noise(3.0), np.zeros((300 * RATE_HZ, 1))]), RATE_HZ)
    tracemalloc.start()
    prompt = read_prompt(path, RATE_HZ, seconds_max)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert torch.equal(prompt, read_audio(path, RATE_HZ)[: int(seconds_max * RATE_HZ)])
    assert peak_bytes < 2_000_000


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 48_000])
def test_another_rate_gives_a_prompt_of_the_same_length(tmp_path, rate_hz):
    soundfile.write(tmp_path / "a.wav", noise(3.0, rate_hz), rate_hz)
    prompt = read_prompt(tmp_path / "a.wav", RATE_HZ, 1.7)
    whole = read_audio(tmp_path / "a.wav", RATE_HZ)
    assert len(prompt) == int(1.7 * RATE_HZ) and torch.allclose(prompt[:-50], whole[: len(prompt) - 50], atol=1e-6)


def test_a_whole_recording_is_read_with_its_channels_averaged(tmp_path):
    sound = noise(10.0, 22_050, channels=3)
    soundfile.write(tmp_path / "a.wav", sound, 22_050, subtype="FLOAT")
    assert torch.equal(read_audio(tmp_path / "a.wav", RATE_HZ), resample(sound.mean(axis=1), 22_050, RATE_HZ))


@pytest.mark.parametrize("content", [b"", b"RIFF", b"no audio"])
def test_what_is_no_audio_is_one_clear_error(tmp_path, content):
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(UserError, match="a.wav: cannot read audio"):
        read_audio(tmp_path / "a.wav", RATE_HZ)
