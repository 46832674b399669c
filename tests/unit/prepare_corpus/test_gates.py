import math

import pytest
import torch

from stages.prepare_corpus.gates import audio_problem, recording_problem, text_problem
from tests.unit.prepare_corpus.settings import settings

RATE_HZ = 16_000


def sine(seconds, peak=0.5):
    return peak * torch.sin(2 * math.pi * 200 * torch.arange(round(seconds * RATE_HZ)) / RATE_HZ)


@pytest.mark.parametrize("seconds, problem", [
    (0.31, "too short: 0.31 s < 0.5"), (0.5, None), (12.0, None), (12.5, "too long: 12.50 s > 12"),
])
def test_duration_has_two_limits(seconds, problem):
    assert audio_problem(sine(seconds), settings()) == problem


def test_silence_counts_against_the_loud_part_and_not_against_full_scale():
    for peak in (0.5, 0.005):
        half = torch.cat([sine(1.0, peak), torch.zeros(RATE_HZ)])
        assert audio_problem(half, settings(silence_share_max=0.5)) is None
        assert audio_problem(half, settings(silence_share_max=0.4)) == "too much silence: 50% of the time > 40%"
    breath = torch.cat([sine(1.0), sine(1.0, 0.5 / 10 ** (35 / 20))])
    assert audio_problem(breath, settings(silence_share_max=0.1)) is None
    assert audio_problem(breath, settings(silence_share_max=0.1, trim_below_db=30.0)) is not None
    assert audio_problem(torch.zeros(RATE_HZ), settings()) == "too much silence: 100% of the time > 50%"


def test_clipping_is_the_share_of_samples_at_full_scale():
    assert recording_problem(sine(1.0, 0.99), RATE_HZ, settings()) is None
    clipped = sine(1.0, 2.0).clamp(-1, 1)
    problem = recording_problem(clipped, RATE_HZ, settings())
    assert problem is not None and problem.startswith("clipped: 67.") and problem.endswith("> 1.00%")
    assert recording_problem(clipped, RATE_HZ, settings(clipped_share_max=0.7)) is None


def test_a_silent_recording_is_told():
    assert recording_problem(torch.zeros(RATE_HZ), RATE_HZ, settings()) == "silent: loud part -120 dB < -60"
    assert recording_problem(sine(1.0, 0.0005), RATE_HZ, settings()) == "silent: loud part -69 dB < -60"
    assert recording_problem(sine(1.0, 0.005), RATE_HZ, settings()) is None
    offset = torch.full((RATE_HZ,), 0.4)
    assert recording_problem(offset, RATE_HZ, settings()) == "silent: loud part -120 dB < -60"


@pytest.mark.parametrize("text, normalised, problem", [
    ("ሰላም ነው።", "ሰላም ነው.", None),
    ("  ", "", "no text: the field is empty"),
    ("።።", ".", "no text: nothing is left after normalising"),
    ("WHO ሰላም", "WHO ሰላም", None),
    ("good ሰላም", "good ሰላም", "script mix: 57% of the letters are Latin > 50%"),
])
def test_a_text_needs_letters_of_its_own_script(text, normalised, problem):
    assert text_problem(text, normalised, settings()) == problem
