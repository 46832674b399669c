from pathlib import Path

import pytest
import torch

from stages.core.audio.espeak import phones, phones_by_word, synthesise
from stages.core.audio.files import resample
from stages.core.model.settings import read_settings
from stages.core.params.shared import SpeakerConfig
from stages.evaluate_speech.judge import PhoneJudge, hear_safely, load_judge, spell
from stages.evaluate_speech.likeness import SpectrumEncoder, margin, similarity
from stages.evaluate_speech.words import join

BASE = Path("data/base")
TEXT = "ማንም ሰው ቢሆን በባርነት አይገዛም."
OTHER = "የተፈጥሮ ማስተዋልና ህሊና ስላለው"
RATE_HZ = 16000


@pytest.fixture(scope="module")
def settings():
    return read_settings(BASE)


@pytest.fixture(scope="module")
def judge(settings) -> PhoneJudge:
    return PhoneJudge(BASE, settings)


def speak(text: str, variant: str = "m2", pitch: int = 45) -> torch.Tensor:
    speaker = SpeakerConfig(variant=variant, pitch=pitch, pitch_range=50, rate_words_per_minute=150)
    return resample(*synthesise(text, "am", speaker), RATE_HZ)


def errors(judge, audio, text=TEXT):
    found = judge.compare(judge.expect(text, "am"), hear_safely(judge, audio, RATE_HZ))
    return found.symbol_errors / found.symbols


def test_right_speech_is_heard_right_and_wrong_speech_wrong(judge):
    voices = [("m1", 40), ("m2", 45), ("f4", 50)]
    right, wrong = (sum(errors(judge, speak(text, *voice)) for voice in voices) / 3 for text in (TEXT, OTHER))
    # the judge's floor is 0.03 over many sentences; over these 93 phones 0.1 is more than three standard errors away
    assert right <= 0.1
    # another sentence shares few phones in order
    assert wrong >= 0.7


def test_noise_and_nothing_score_badly(judge):
    assert errors(judge, torch.randn(32000, generator=torch.Generator().manual_seed(0)) * 0.1) >= 0.6
    assert errors(judge, torch.zeros(0)) == errors(judge, torch.zeros(32000)) == 1


def test_audio_at_another_rate_is_heard_the_same(judge):
    audio = speak(TEXT)
    upsampled = resample(audio, RATE_HZ, 24000)
    assert judge.hear(upsampled, 24000) == judge.hear(audio, RATE_HZ)


@pytest.mark.parametrize(("text", "voice"), [(TEXT, "am"), (OTHER, "am"), ("All human beings are born free.", "en")])
def test_phones_of_words_are_the_phones_of_the_text(text, voice):
    assert join(phones_by_word(text, voice)) == phones(text, voice)
    if voice == "am":
        assert len(phones_by_word(text, voice)) == len(text.split())


def test_punctuation_and_case_are_not_heard():
    assert spell("Don't stop, NOW.") == [list("don"), list("t"), list("stop"), list("now")]
    assert spell("ሰላም፣ ነው።") == [list("ሰላም"), list("ነው")]


def test_a_judge_that_was_not_asked_for_or_that_the_base_lacks_is_none(settings):
    released = settings.model_copy(update={"miniature": None})
    cpu = torch.device("cpu")
    assert load_judge("none", BASE, settings, str, cpu) is None
    assert load_judge("own", BASE, released, str, cpu) is None
    assert isinstance(load_judge("own", BASE, settings, str, cpu), PhoneJudge)


def test_a_voice_is_nearer_to_itself_than_to_another(settings):
    encoder = SpectrumEncoder(settings)
    portraits = [encoder.portray(speak(*args), RATE_HZ) for args in
                 ((TEXT, "m2", 45), (OTHER, "m2", 45), (OTHER, "f3", 70))]
    same, again, other = (portrait - torch.stack(portraits).mean(dim=0) for portrait in portraits)
    assert similarity(same, again) > 0.3 > similarity(same, other)
    assert margin(same, again, {"f3": [other]}) > 0 > margin(other, again, {"f3": [other]})
