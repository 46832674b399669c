from types import SimpleNamespace

import pytest
import torch

from stages.core.model.unified_voice import UnifiedVoice
from stages.core.training.batching import Row
from stages.evaluate_speech.draw import Drawn, choose_rows, draw_codes, measure_lengths, spread
from stages.evaluate_speech.figures import make_figures
from tests.tiny import SETTINGS, make_rows
from tests.unit.evaluate_speech.stand_ins import config, features


def test_every_sentence_is_read_and_speakers_take_turns():
    corpus = features(texts=12, speakers=5)
    for speakers_max, wanted in ((1, 6), (2, 12), (9, 30)):
        chosen = [corpus.utterances[index].id.split("-") for index in choose_rows(corpus, 6, speakers_max)]
        assert len(chosen) == wanted == len({tuple(one) for one in chosen})
        assert len({text for _, text in chosen}) == 6 and len({speaker for speaker, _ in chosen}) == 5


def test_chosen_sentences_are_spread_over_all():
    corpus = features(texts=20, speakers=1)
    chosen = [int(corpus.utterances[index].id.split("-")[1]) for index in choose_rows(corpus, 4, 1)]
    assert chosen == [2, 7, 12, 17]


def test_a_second_reading_by_the_same_speaker_is_no_other_one():
    corpus = features(texts=2, speakers=1)
    corpus.utterances += corpus.utterances
    corpus.texts += corpus.texts
    assert choose_rows(corpus, 9, 9) == [0, 1]


def test_a_small_set_is_taken_whole():
    assert sorted(choose_rows(features(2, 2), 50, 50)) == [0, 1, 2, 3]
    assert spread([1, 2, 3], 3) == [1, 2, 3]
    assert torch.equal(features(2, 2).text(3), torch.tensor([3, 1]))


def drawn(sentence, codes, true_codes, stopped=True):
    row = Row("", torch.tensor([sentence]), torch.zeros(true_codes, dtype=torch.int64), torch.zeros(1, 1))
    return Drawn(SimpleNamespace(id=""), row, 0, torch.zeros(codes, dtype=torch.int64), stopped)


def test_lengths_are_told_against_the_reference():
    values = measure_lengths([drawn(0, 100, 100), drawn(1, 50, 100), drawn(2, 200, 100, stopped=False)], config())
    found = {name: figure["mean"] for name, figure in make_figures(values, 0).items() if figure}
    assert found == {
        "stop_rate": pytest.approx(2 / 3, abs=1e-6), "too_long_rate": pytest.approx(1 / 3, abs=1e-6),
        "too_short_rate": pytest.approx(1 / 3, abs=1e-6), "duration_ratio": pytest.approx(3.5 / 3, abs=1e-6),
        "duration_deviation": pytest.approx(0.5),
    }


def test_draws_repeat_the_same_set_with_other_seeds():
    torch.manual_seed(0)
    voice = UnifiedVoice(SETTINGS).eval()
    rows = make_rows(3)
    corpus = SimpleNamespace(row=lambda index: rows[index],
                             utterances=[SimpleNamespace(id=str(place)) for place in range(3)])
    both = draw_codes(voice, corpus, [0, 2], config(temperature=1.0), draws=2)
    assert [(one.utterance.id, one.draw) for one in both] == [("0", 0), ("2", 0), ("0", 1), ("2", 1)]
    assert [one.codes.tolist() for one in both[:2]] != [one.codes.tolist() for one in both[2:]]
    [alone] = [draw_codes(voice, corpus, [0, 2], config(temperature=1.0, seed=2), draws=1)]
    assert [one.codes.tolist() for one in alone] == [one.codes.tolist() for one in both[2:]]
