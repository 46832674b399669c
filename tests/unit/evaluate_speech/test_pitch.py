import math

import pytest
import torch

from stages.evaluate_speech.pitch import Pitch, track_pitch
from stages.evaluate_speech.prosody import compare_pitch

RATE_HZ = 16000


def voice(hertz: torch.Tensor) -> torch.Tensor:
    """Pulses with a falling spectrum, at a frequency a sample."""
    phase = torch.cumsum(hertz / RATE_HZ, 0) * 2 * math.pi
    return sum(torch.sin(order * phase) / order for order in range(1, 12)) * 0.1


@pytest.mark.parametrize("hertz", [80.0, 120.0, 200.0, 350.0])
def test_a_steady_voice_has_its_pitch_and_no_movement(hertz):
    pitch = track_pitch(voice(torch.full((RATE_HZ,), hertz)), RATE_HZ)
    assert pitch.median_semitones == pytest.approx(12 * math.log2(hertz / 100), abs=0.05)
    assert pitch.deviation_semitones < 0.05


def test_movement_is_measured_in_semitones():
    # a vibrato of 2 semitones each way: its deviation is 2 / sqrt(2)
    semitones = 2 * torch.sin(torch.arange(2 * RATE_HZ) / RATE_HZ * 2 * math.pi * 3)
    pitch = track_pitch(voice(150 * 2 ** (semitones / 12)), RATE_HZ)
    assert pitch.deviation_semitones == pytest.approx(math.sqrt(2), abs=0.1)


def test_another_rate_changes_nothing():
    pitch = track_pitch(voice(torch.full((RATE_HZ,), 120.0))[::2], RATE_HZ // 2)
    assert pitch.median_semitones == pytest.approx(12 * math.log2(1.2), abs=0.05)


def test_noise_silence_and_next_to_nothing_have_none():
    noise = torch.randn(RATE_HZ, generator=torch.Generator().manual_seed(0))
    for audio in (noise, torch.zeros(RATE_HZ), torch.zeros(0), voice(torch.full((200,), 200.0))):
        assert track_pitch(audio, RATE_HZ) is None


def test_pitch_is_compared_where_both_have_one():
    pairs = [("a", Pitch(3.0, 1.0), Pitch(1.0, 2.0)), ("b", Pitch(0.0, 3.0), Pitch(4.0, 2.0)), ("c", None, Pitch(0, 1))]
    values = compare_pitch(pairs, "codes_")
    assert [one.amount for one in values["codes_pitch_deviation_semitones"]] == [2.0, 4.0]
    ranges = values["codes_pitch_range_ratio"]
    assert sum(one.amount for one in ranges) / sum(one.weight for one in ranges) == 1.0
