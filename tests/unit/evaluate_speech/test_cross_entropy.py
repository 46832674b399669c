import math

import pytest
import torch

from stages.core.model.unified_voice import UnifiedVoice
from stages.evaluate_speech.cross_entropy import predict_codes, swap_texts
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
