from pathlib import Path

import pytest
import torch

from stages.core.audio.espeak import phones, synthesise
from stages.core.audio.files import resample
from stages.core.model.settings import read_settings
from stages.core.params.shared import SpeakerConfig
from stages.evaluate_speech.judge import Judge, count_errors, similarity

BASE = Path("data/base")
TEXT = "ማንም ሰው ቢሆን በባርነት አይገዛም."
OTHER = "የተፈጥሮ ማስተዋልና ህሊና ስላለው"


@pytest.fixture(scope="module")
def judge() -> Judge:
    settings = read_settings(BASE).miniature
    assert settings is not None
    return Judge(BASE, settings)


def speak(text: str, variant: str = "m2", pitch: int = 45) -> torch.Tensor:
    speaker = SpeakerConfig(variant=variant, pitch=pitch, pitch_range=50, rate_words_per_minute=150)
    return resample(*synthesise(text, "am", speaker), 16000)


def test_right_speech_is_heard_right_and_wrong_speech_wrong(judge):
    expected = phones(TEXT, "am")
    voices = [("m1", 40), ("m2", 45), ("f4", 50)]
    right, wrong = (sum(judge.hear(speak(text, *voice), expected).errors for voice in voices) / (3 * len(expected))
                    for text in (TEXT, OTHER))
    # the judge's floor is 0.03 over many sentences; over these 93 phones 0.1 is more than three standard errors away
    assert right <= 0.1
    # another sentence shares few phones in order
    assert wrong >= 0.7


def test_noise_and_nothing_score_badly(judge):
    expected = phones(TEXT, "am")
    noise = torch.randn(32000, generator=torch.Generator().manual_seed(0)) * 0.1
    assert judge.hear(noise, expected).errors >= 0.6 * len(expected)
    assert judge.hear(torch.zeros(0), expected).errors == len(expected)


def test_errors_are_an_edit_distance():
    assert count_errors(["a", "b", "c"], ["a", "c"]) == 1
    assert count_errors(["a"], ["a", "b", "c"]) == 2
    assert count_errors(["a", "b"], []) == 2


def test_a_voice_is_nearer_to_itself_than_to_another(judge):
    same, again, other = (judge.portrait(speak(*args)) for args in
                          ((TEXT, "m2", 45), (OTHER, "m2", 45), (OTHER, "f3", 70)))
    population = (same + again + other) / 3
    assert similarity(same, again, population) > 0.3 > similarity(same, other, population)
