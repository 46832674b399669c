import pytest

from stages.core.training.flops import FRAME_TOKENS, work_of
from tests.tiny import SETTINGS

ROWS = [(4, 9), (6, 20)]


def test_the_work_of_rows_is_that_of_their_blocks_heads_and_attention():
    lengths = [SETTINGS.condition_num_latent + FRAME_TOKENS + text + codes for text, codes in ROWS]
    dim, layers = SETTINGS.model_dim, SETTINGS.layers
    forward = layers * 24 * dim**2 * sum(lengths)
    forward += 2 * dim * (12 * (SETTINGS.number_text_tokens + 1) + 31 * SETTINGS.number_mel_codes)
    attention = 3 * layers * 2 * dim * sum(length**2 for length in lengths)
    assert work_of(SETTINGS, ROWS, weights_trained=True) == (43, pytest.approx(3 * forward + attention))
    assert work_of(SETTINGS, ROWS, weights_trained=False) == (43, pytest.approx(2 * forward + attention))
