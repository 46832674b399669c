"""Files written by libsndfile itself and then damaged; whatever is wrong is told as one countable reason."""

import math
import os
import struct

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import soundfile
import torch

from stages.prepare_corpus import audio as module
from stages.prepare_corpus.audio import Unusable, condition, decode
from stages.prepare_corpus.loudness import loudness_lufs
from stages.prepare_corpus.utterance import Embedded, Recording
from tests.unit.prepare_corpus.settings import settings

RATE_HZ = 16_000
FORMATS = {"wav": 2e-4, "flac": 2e-4, "ogg": 0.1, "mp3": 0.1}


def speech(seconds=4.0, rate_hz=RATE_HZ):
    """A rising tone: each place in it can be told from every other."""
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    return (0.4 * np.sin(2 * math.pi * (200 * time + 50 * time**2))).astype("float32")


def reason(recording):
    with pytest.raises(Unusable) as raised:
        decode(recording)
    return raised.value.reason


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_decodes_whole_and_by_segment(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, speech(), RATE_HZ)
    whole, rate_hz = decode(Recording(path))
    assert rate_hz == RATE_HZ and whole.dtype == torch.float32
    assert np.abs(whole.numpy()[: 4 * RATE_HZ] - speech()).max() < FORMATS[suffix]
    part, _ = decode(Recording(path, 1.25, 2.75))
    assert len(part) == 1.5 * RATE_HZ and torch.allclose(part, whole[20_000:44_000], atol=1e-3)


def test_of_a_long_file_only_the_segment_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LONGEST_SECONDS", 2.0)
    soundfile.write(tmp_path / "long.flac", speech(5.0), RATE_HZ)
    assert len(decode(Recording(tmp_path / "long.flac", 4.0))[0]) == RATE_HZ
    assert reason(Recording(tmp_path / "long.flac")) == "too long: 5.0 s > 2, give it segments"


@pytest.mark.parametrize("channels", [2, 6])
def test_channels_are_averaged(tmp_path, channels):
    sound = np.stack([speech() * (1 + channel) / channels for channel in range(channels)], axis=1)
    soundfile.write(tmp_path / "a.wav", sound, RATE_HZ, subtype="FLOAT")
    assert torch.allclose(decode(Recording(tmp_path / "a.wav"))[0], torch.from_numpy(sound.mean(axis=1)), atol=1e-6)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_the_content_decides_and_not_the_name(tmp_path, suffix):
    soundfile.write(tmp_path / f"a.{suffix}", speech(), RATE_HZ)
    for wrong in ("raw", "txt", "flac", "mp3"):
        os.link(tmp_path / f"a.{suffix}", tmp_path / f"{suffix}-as.{wrong}")
        assert len(decode(Recording(tmp_path / f"{suffix}-as.{wrong}"))[0]) >= 4 * RATE_HZ


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_truncated_file_is_told_and_no_library_writes_to_the_log(tmp_path, suffix, capfd):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, speech(20.0), RATE_HZ)
    whole = path.read_bytes()
    for kept in (0.9, 0.5, 0.002):
        path.write_bytes(whole[: int(len(whole) * kept)])
        assert reason(Recording(path)).startswith(("truncated: ", "unreadable audio: "))
    assert capfd.readouterr().err == ""


def test_a_truncated_wave_says_how_much_is_missing(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, speech(4.0), RATE_HZ)
    os.truncate(path, 44 + 2 * RATE_HZ)
    assert reason(Recording(path)) == "truncated: header says 4.00 s, 1.00 s decode"
    assert len(decode(Recording(path, 0.2, 0.8))[0]) == round(0.6 * RATE_HZ), "what is there can still be cut"
    assert reason(Recording(path, 0.2, 3.0)) == "segment outside its file: 0.2 to 3 s of 1.00"


def test_a_wave_of_unknown_length_is_no_truncated_one(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, speech(), RATE_HZ)
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, content.find(b"data") + 4, 0xFFFFFFFF)
    path.write_bytes(content)
    assert len(decode(Recording(path))[0]) == 4 * RATE_HZ


@pytest.mark.parametrize("rate_hz, told", [
    (0, "unreadable audio: "), (1, "sample rate out of range: 1 Hz"),
    (2**31 - 1, "sample rate out of range: 2147483647 Hz"),
])
def test_impossible_rates_are_told(tmp_path, rate_hz, told):
    path = tmp_path / "a.wav"
    soundfile.write(path, speech(), RATE_HZ)
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, content.find(b"fmt ") + 12, rate_hz)
    path.write_bytes(content)
    assert reason(Recording(path)).startswith(told)


def test_missing_empty_and_foreign_files_are_told(tmp_path):
    assert reason(Recording(tmp_path / "none.wav")) == f"missing audio: {tmp_path / 'none.wav'}"
    assert reason(Recording(tmp_path)) == f"missing audio: {tmp_path}"
    for name, content in {"empty.wav": b"", "words.wav": b"no audio at all " * 100, "zeros.mp3": bytes(5000)}.items():
        (tmp_path / name).write_bytes(content)
        assert reason(Recording(tmp_path / name)).startswith("unreadable audio: ")
    soundfile.write(tmp_path / "none.wav", np.zeros(0, "float32"), RATE_HZ)
    assert reason(Recording(tmp_path / "none.wav")) == "empty audio: 0 samples"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_samples_that_are_no_numbers_are_counted(tmp_path, value):
    sound = speech()
    sound[5:8] = value
    soundfile.write(tmp_path / "a.wav", sound, RATE_HZ, subtype="FLOAT")
    assert reason(Recording(tmp_path / "a.wav")) == "samples that are no numbers: 3 of 64000"
    assert len(decode(Recording(tmp_path / "a.wav", 1.0, 2.0))[0]) == RATE_HZ


@pytest.mark.parametrize("start, end", [(-1.0, 1.0), (2.0, 2.0), (3.0, 1.0), (4.5, None), (1.0, 4.2), (math.nan, 1.0)])
def test_a_segment_outside_its_file_is_told(tmp_path, start, end):
    soundfile.write(tmp_path / "a.flac", speech(), RATE_HZ)
    assert reason(Recording(tmp_path / "a.flac", start, end)).startswith("segment outside its file: ")


def test_a_segment_may_end_a_little_beyond_its_file(tmp_path):
    soundfile.write(tmp_path / "a.flac", speech(), RATE_HZ)
    assert len(decode(Recording(tmp_path / "a.flac", 3.0, 4.05))[0]) == RATE_HZ


def test_audio_embedded_in_parquet_decodes(tmp_path):
    soundfile.write(tmp_path / "a.mp3", speech(), RATE_HZ)
    soundfile.write(tmp_path / "b.ogg", speech(2.0), RATE_HZ)
    rows = [{"bytes": (tmp_path / "a.mp3").read_bytes(), "path": "a.mp3"}, {"bytes": None, "path": "x"},
            {"bytes": (tmp_path / "b.ogg").read_bytes()[:-200], "path": "b.ogg"}]
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"audio": rows, "plain": [row["bytes"] for row in rows]}), path)
    for column in ("audio", "plain"):
        assert len(decode(Embedded(path, 0, 0, column))[0]) >= 4 * RATE_HZ
        assert reason(Embedded(path, 0, 1, column)) == "missing audio: the cell holds no bytes"
        assert reason(Embedded(path, 0, 2, column)).startswith("truncated: the stream breaks off")
    for row_group, row, column in ((0, 3, "audio"), (7, 0, "audio"), (0, 0, "nothing")):
        assert reason(Embedded(path, row_group, row, column)).startswith("unreadable parquet: ")
    assert reason(Embedded(tmp_path / "a.mp3", 0, 0, "audio")).startswith("unreadable parquet: ")
    assert reason(Embedded(tmp_path / "none.parquet", 0, 0, "audio")).startswith("unreadable parquet: ")


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 44_100, 192_000])
def test_any_usual_rate_becomes_the_wanted_one(rate_hz):
    tone = torch.from_numpy(0.5 * np.sin(2 * math.pi * 440 * np.arange(2 * rate_hz) / rate_hz)).float()
    wanted = 0.5 * np.sin(2 * math.pi * 440 * np.arange(2 * RATE_HZ) / RATE_HZ)
    got = condition(tone, rate_hz, settings())
    assert len(got) == 2 * RATE_HZ and np.abs(got.numpy() - wanted)[200:-200].max() < 0.002


def test_a_rate_that_shares_no_factor_is_refused_before_its_filter_fills_the_memory():
    with pytest.raises(Unusable, match="sample rate without a ratio: 44101 Hz to 16000 Hz"):
        condition(torch.zeros(1000), 44_101, settings())


def test_without_trimming_and_loudness_audio_stays_as_it_is():
    audio = torch.from_numpy(speech())
    assert torch.equal(condition(audio, RATE_HZ, settings()), audio)


@pytest.mark.parametrize("peak", [0.5, 0.01])
def test_silence_at_the_ends_goes_and_a_pad_stays(peak):
    noise = 1e-4 * peak * torch.randn(4 * RATE_HZ, generator=torch.Generator().manual_seed(0))
    audio = noise.clone()
    audio[RATE_HZ : 2 * RATE_HZ] += peak * torch.from_numpy(speech(1.0))
    audio[round(2.5 * RATE_HZ) : 3 * RATE_HZ] += peak * torch.from_numpy(speech(0.5))
    trimmed = condition(audio, RATE_HZ, settings(trim_silence=True))
    assert torch.equal(trimmed, audio[round(0.9 * RATE_HZ) : round(3.1 * RATE_HZ)]), "a pause within stays"
    assert torch.equal(condition(trimmed, RATE_HZ, settings(trim_silence=True)), trimmed)
    assert torch.equal(condition(torch.zeros(100), RATE_HZ, settings(trim_silence=True)), torch.zeros(100))


def test_an_utterance_of_another_rate_and_level_comes_out_at_the_target():
    audio = torch.cat([torch.zeros(48_000), torch.from_numpy(0.02 * speech(2.0, 48_000)), torch.zeros(48_000)])
    done = condition(audio, 48_000, settings(trim_silence=True, loudness="ebu_r128", loudness_target_db=-23.0))
    assert len(done) == pytest.approx(2.2 * RATE_HZ, abs=0.04 * RATE_HZ)
    assert loudness_lufs(done, RATE_HZ) == pytest.approx(-23.0, abs=0.1)
