"""What a broken model gives scores badly, and what a perfect one gives scores at the floor: on the shipped base."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from stages.core.audio.espeak import synthesise
from stages.core.audio.files import resample
from stages.core.model.adapter import load_miniature_adapter
from stages.core.model.settings import read_settings
from stages.core.params.shared import SpeakerConfig
from stages.core.training.batching import Row
from stages.evaluate_speech.draw import Drawn, measure_lengths
from stages.evaluate_speech.figures import make_figures
from stages.evaluate_speech.judge import PhoneJudge
from stages.evaluate_speech.likeness import SpectrumEncoder
from stages.evaluate_speech.listen import Reading, Sample, Speech, hear, measure_errors, measure_faults
from stages.evaluate_speech.prosody import measure_pitch, measure_voices
from tests.unit.evaluate_speech.stand_ins import config

BASE = Path("data/base")
RATE_HZ = 16000
TEXTS = ("ማንም ሰው ቢሆን በባርነት አይገዛም", "የተፈጥሮ ማስተዋልና ህሊና ስላለው", "ሁሉም ሰው የመኖር መብት አለው")
SPEAKERS = (SpeakerConfig(variant="m2", pitch=45, pitch_range=50, rate_words_per_minute=150),
            SpeakerConfig(variant="f4", pitch=60, pitch_range=50, rate_words_per_minute=150))


@pytest.fixture(scope="module")
def settings():
    return read_settings(BASE)


@pytest.fixture(scope="module")
def adapter(settings):
    return load_miniature_adapter(BASE, settings)


@pytest.fixture(scope="module")
def readings(adapter) -> list[Reading]:
    """Every text by both speakers, the next text by the same one as its prompt."""
    found = []
    for speaker in SPEAKERS:
        audio = [resample(*synthesise(text, "am", speaker), RATE_HZ) for text in TEXTS]
        for place, text in enumerate(TEXTS):
            line = {"id": f"{speaker.variant}-{place}", "text_normalised": text, "speaker": speaker.variant}
            prompt = audio[(place + 1) % len(TEXTS)]
            codes = adapter.analyse(audio[place]).codes
            found.append(Reading((place,), line, line, audio[place], prompt, codes, RATE_HZ))
    return found


def measure(readings, adapter, settings, speak):
    """All figures of a model that says `speak(reading, codes of the reading, place)`: codes or audio."""
    samples, drawn = [], []
    judge = PhoneJudge(BASE, settings)
    for place, reading in enumerate(readings):
        codes = reading.codes
        said = speak(reading, codes, place)
        is_audio = said.is_floating_point()
        spoken = adapter.analyse(said).codes if is_audio and len(said) else said.long() if len(said) else codes[:0]
        one = Drawn(SimpleNamespace(id=reading.line["id"]), Row("", torch.tensor(reading.sentence), codes, None),
                    0, spoken, True)
        drawn.append(one)
        samples.append(Sample(reading, one, said if is_audio else adapter.decode(said, reading.prompt)))
    speech = Speech(samples, readings, [adapter.decode(one.codes, one.prompt) for one in readings])
    hearing = hear(speech, judge, lambda line: "am")
    values = measure_errors(hearing.samples, judge, "") | measure_errors(hearing.references, judge, "reference_") \
        | measure_errors(hearing.coded, judge, "codes_") | measure_faults(hearing.samples, "") \
        | measure_pitch(speech) | measure_voices(speech, SpectrumEncoder(settings)) | measure_lengths(drawn, config())
    return {name: figure["mean"] for name, figure in make_figures(values, 0).items() if figure}


def test_the_reference_itself_scores_at_the_floor(readings, adapter, settings):
    found = measure(readings, adapter, settings, lambda reading, codes, place: reading.audio)
    assert found["phone_error_rate"] == found["reference_phone_error_rate"] < 0.12
    assert (found["skipped_word_rate"], found["repeated_word_rate"]) == (0, 0)
    assert (found["too_long_rate"], found["too_short_rate"], found["duration_ratio"]) == (0, 0, 1)
    assert found["pitch_deviation_semitones"] == 0 and found["pitch_range_ratio"] == 1
    assert found["speaker_margin"] == found["reference_speaker_margin"] > 0


def test_the_references_codes_score_as_a_perfect_model_would(readings, adapter, settings):
    found = measure(readings, adapter, settings, lambda reading, codes, place: codes)
    assert found["phone_error_rate"] == found["codes_phone_error_rate"] < 0.3
    assert found["duration_deviation"] == 0


def test_another_text_is_an_error(readings, adapter, settings):
    found = measure(readings, adapter, settings, lambda reading, codes, place: readings[(place + 1) % 6].audio)
    assert found["phone_error_rate"] > 0.6 > 0.12 > found["reference_phone_error_rate"]


def test_silence_is_all_wrong_all_skipped_too_short_and_nobodys_voice(readings, adapter, settings):
    found = measure(readings, adapter, settings, lambda reading, codes, place: torch.zeros(0))
    assert found["phone_error_rate"] == found["skipped_word_rate"] == found["too_short_rate"] == 1
    assert found["duration_ratio"] == 0 and found["duration_deviation"] == 1
    assert abs(found["speaker_similarity"]) < 1e-6 and abs(found["speaker_margin"]) < 1e-6
    assert "pitch_deviation_semitones" not in found, "silence has no pitch"


def test_constant_codes_say_nothing(readings, adapter, settings):
    found = measure(readings, adapter, settings, lambda reading, codes, place: codes[10].repeat(len(codes)))
    assert found["phone_error_rate"] > 0.9 and found["skipped_word_rate"] > 0.8


def test_endless_repetition_is_wrong_repeated_and_too_long(readings, adapter, settings):
    found = measure(readings, adapter, settings,
                    lambda reading, codes, place: torch.cat([reading.audio, reading.audio, reading.audio]))
    assert found["phone_error_rate"] > 1.5, "what is added counts, so a rate may pass 1"
    assert found["repeated_word_rate"] > 0.8 and found["too_long_rate"] == 1


def test_a_left_out_part_is_skipped_and_too_short(readings, adapter, settings):
    found = measure(readings, adapter, settings, lambda reading, codes, place: reading.audio[: len(reading.audio) // 2])
    assert 0.25 < found["skipped_word_rate"] < 0.75 and found["too_short_rate"] == 1


def test_another_speakers_voice_has_no_margin_and_another_melody(readings, adapter, settings):
    found = measure(readings, adapter, settings, lambda reading, codes, place: readings[(place + 3) % 6].audio)
    assert found["speaker_margin"] < 0 < found["reference_speaker_margin"]
    assert found["pitch_deviation_semitones"] > 4


def test_without_a_decoder_the_floor_is_measured_and_nothing_else(readings, settings):
    speech, judge = Speech([], readings, []), PhoneJudge(BASE, settings)
    hearing = hear(speech, judge, lambda line: "am")
    values = measure_errors(hearing.samples, judge, "") | measure_errors(hearing.references, judge, "reference_") \
        | measure_errors(hearing.coded, judge, "codes_") | measure_pitch(speech) \
        | measure_voices(speech, SpectrumEncoder(settings))
    measured = {name for name, figure in make_figures(values, 0).items() if figure}
    assert measured == {"reference_phone_error_rate", "reference_speaker_similarity", "reference_speaker_margin"}
