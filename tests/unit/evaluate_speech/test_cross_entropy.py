import math

import pytest
import torch

from stages.core.model.unified_voice import UnifiedVoice
from stages.evaluate_speech.cross_entropy import measure_base_languages, measure_target, predict_codes, swap_texts
from stages.evaluate_speech.figures import make_figures
from tests.tiny import SETTINGS, make_rows


def test_a_model_without_preference_costs_the_log_of_the_codes():
    voice = UnifiedVoice(SETTINGS)
    torch.nn.init.zeros_(voice.mel_head.weight)
    torch.nn.init.zeros_(voice.mel_head.bias)
    for prediction in predict_codes(voice, make_rows(4)):
        assert prediction.cross_entropy_sum / prediction.codes == pytest.approx(math.log(22), rel=1e-4)


def test_predictions_stand_in_the_order_of_the_rows():
    torch.manual_seed(0)
    voice, rows = UnifiedVoice(SETTINGS).eval(), make_rows(9)
    together = predict_codes(voice, rows)
    for row, prediction in zip(rows, together, strict=True):
        [alone] = predict_codes(voice, [row])
        assert alone.cross_entropy_sum == pytest.approx(prediction.cross_entropy_sum, rel=1e-4)
        assert prediction.codes == len(row.codes) + 1


def test_every_row_gets_a_text_that_differs_from_its_own():
    rows = make_rows(7)
    rows.append(rows[0])
    for row, swapped in zip(rows, swap_texts(rows), strict=True):
        assert row.text.tolist() != swapped.text.tolist() and torch.equal(row.codes, swapped.codes)


def test_swapping_needs_two_texts():
    with pytest.raises(ValueError, match="two different texts"):
        swap_texts([make_rows(1)[0]] * 3)


def test_a_model_without_preference_has_no_gap():
    voice = UnifiedVoice(SETTINGS)
    torch.nn.init.zeros_(voice.mel_head.weight)
    torch.nn.init.zeros_(voice.mel_head.bias)
    found = make_figures(measure_target(voice, make_rows(4)), 0)
    assert found["code_cross_entropy"]["mean"] == found["swapped_text_cross_entropy"]["mean"]
    assert found["swapped_text_gap"] == {"mean": 0, "low": 0, "high": 0, "n": 4, "sentences": 4}


def test_the_gap_is_paired_by_the_row_and_not_by_its_borrowed_text():
    torch.manual_seed(0)
    rows = make_rows(6)
    values = measure_target(UnifiedVoice(SETTINGS).eval(), rows)
    sentences = [tuple(row.text.tolist()) for row in rows]
    for name in ("code_cross_entropy", "swapped_text_cross_entropy", "swapped_text_gap"):
        assert [one.sentence for one in values[name]] == sentences
    gap = [other.amount - own.amount for own, other in
           zip(values["code_cross_entropy"], values["swapped_text_cross_entropy"], strict=True)]
    assert [one.amount for one in values["swapped_text_gap"]] == gap


def test_languages_without_replay_are_unmeasured_where_there_are_none():
    torch.manual_seed(0)
    found = make_figures(measure_base_languages(UnifiedVoice(SETTINGS).eval(), make_rows(3), []), 0)
    assert found["unreplayed_language_cross_entropy"] is None
    assert found["base_language_cross_entropy"] == found["replayed_language_cross_entropy"]
    assert found["base_language_cross_entropy"]["n"] == 3
