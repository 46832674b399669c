from types import SimpleNamespace

import pytest
import torch

from stages.core.audio.espeak import synthesise
from stages.core.audio.files import resample, write_audio
from stages.core.model.adapter import load_miniature_adapter
from stages.core.model.checkpoint import load_base
from stages.core.model.settings import read_settings
from stages.core.params.shared import SpeakerConfig
from stages.core.training.batching import Row
from stages.evaluate_speech.draw import Drawn
from stages.evaluate_speech.emotion import change, diverge, measure_emotion
from stages.evaluate_speech.figures import make_figures
from tests.tiny_base import make_base
from tests.unit.evaluate_speech.stand_ins import STYLE, config

TEXTS = ("ማንም ሰው", "ሁሉም ሰው ነው")
RATE_HZ = 16000


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_base(tmp_path_factory.mktemp("tiny") / "base")


class Encoder:
    """Stands for the frozen encoders: one voice for all, an emotion whose direction tells how long the prompt is."""

    def __init__(self, strength):
        self.strength = strength
        self.turns = torch.randn(1, 16, generator=torch.Generator().manual_seed(0))

    def voice(self, features, lengths):
        return torch.randn(1, 3, 16, generator=torch.Generator().manual_seed(1))

    def emotion(self, features, lengths):
        return self.strength * torch.cos(self.turns * lengths[:, None])


@pytest.fixture(scope="module")
def measure(base, tmp_path_factory):
    """Figures of the tiny model for two styles, its emotion path of a certain strength."""
    settings, corpus = read_settings(base), tmp_path_factory.mktemp("corpus")
    adapter, model, manifest, drawn = load_miniature_adapter(base, settings), load_base(base).eval(), {}, []
    model.mel_head.weight.data *= 20  # a random head has no preference that a path could move
    speaker = SpeakerConfig(variant="m4", pitch=40, pitch_range=40, rate_words_per_minute=150)
    for place, text in enumerate(TEXTS):
        audio = resample(*synthesise(text, "am", speaker), RATE_HZ)
        write_audio(corpus / f"{place}.flac", audio, RATE_HZ)
        manifest[str(place)] = {"text_normalised": text, "audio": f"{place}.flac"}
        row = Row(str(place), torch.tensor([5 + place, 7, 9]), adapter.analyse(audio).codes, torch.zeros(3, 16))
        drawn.append(Drawn(SimpleNamespace(id=str(place), prompt=str(place)), row, 0, row.codes, True))

    def run(styles, strength):
        values = measure_emotion(model, drawn, manifest, corpus, adapter, Encoder(strength),
                                 config(emotion_styles=styles, temperature=1.0), 2.0)
        return {name: figure["mean"] for name, figure in make_figures(values, 0).items() if figure}

    return run


def test_the_same_style_twice_changes_nothing_but_another_seed_does(measure):
    found = measure([STYLE, STYLE], 1.0)
    assert found["emotion_divergence"] == found["emotion_code_change"] == 0
    assert found["emotion_duration_ratio"] == found["intended_emotion_duration_ratio"] == 1
    assert found["intended_emotion_pitch_semitones"] == 0
    assert found["seed_code_change"] > 0.3


def test_a_path_that_carries_something_moves_the_predictions_and_what_was_intended_is_told(measure):
    slow, fast = ({**STYLE, "pitch": pitch, "rate_words_per_minute": rate} for pitch, rate in ((20, 120), (80, 240)))
    weak, strong = measure([slow, fast], 0.02), measure([slow, fast], 2.0)
    assert 0 < weak["emotion_divergence"] < strong["emotion_divergence"] / 2
    assert strong["emotion_code_change"] > 0
    assert weak["intended_emotion_duration_ratio"] < 0.7 and weak["intended_emotion_pitch_semitones"] > 5


def test_a_dead_path_does_nothing(measure):
    found = measure([STYLE, {**STYLE, "pitch": 80, "rate_words_per_minute": 240}], 0.0)
    assert found["emotion_divergence"] == found["emotion_code_change"] == 0


def test_nothing_drawn_is_nothing_measured():
    assert measure_emotion(None, [], {}, None, None, None, None, 2.0) == {}


def test_change_is_the_edit_distance_over_the_longer():
    def row(place):
        return Row("", torch.tensor([place]), torch.tensor([1]), torch.zeros(1, 1))

    def codes(*rows):
        return [(torch.tensor(one, dtype=torch.int64), True) for one in rows]

    values = change([row(0), row(1), row(2)], codes([1, 2, 3, 4], [5, 5], []), codes([1, 3, 4], [6, 6], [1]))
    assert [(one.amount, one.weight) for one in values] == [(1, 4), (2, 2), (1, 1)]


def test_divergence_is_zero_for_equal_rows_and_never_negative(base):
    model, generator = load_base(base).eval(), torch.Generator().manual_seed(1)
    rows = [Row("", torch.tensor([5, 6]), torch.tensor([1, 2, 3]), torch.randn(3, 16, generator=generator))
            for _ in range(2)]
    assert [one.amount for one in diverge(model, rows, rows)] == [0, 0]
    assert all(one.amount > 0 for one in diverge(model, rows, rows[::-1]))
