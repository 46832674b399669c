import copy
import math

import pytest
import torch

from stages.core.model.unified_voice import UnifiedVoice
from stages.evaluate_speech.drift import compare_latents, measure_drift
from tests.tiny import SETTINGS, make_rows


@pytest.fixture
def base():
    torch.manual_seed(0)
    return UnifiedVoice(SETTINGS).eval()


def test_an_untouched_model_has_not_moved(base):
    values = measure_drift(copy.deepcopy(base), base, make_rows(5))
    assert [one.amount for one in values["latent_relative_l2"]] == [0.0] * 5
    assert all(one.amount == pytest.approx(1) for one in values["latent_cosine"])


def test_known_changes_give_known_figures():
    latents = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    assert compare_latents(1.5 * latents, latents) == (pytest.approx(0.5), pytest.approx(1))
    assert compare_latents(-latents, latents) == (pytest.approx(2), pytest.approx(-1))
    quarter_turn = torch.stack([-latents[:, 1], latents[:, 0]], dim=1)
    assert compare_latents(quarter_turn, latents[:, :2]) == (pytest.approx(math.sqrt(2)), pytest.approx(0, abs=1e-6))


def test_a_scaled_last_norm_is_seen_in_the_latents(base):
    moved = copy.deepcopy(base)
    moved.final_norm.weight.data *= 1.25
    moved.final_norm.bias.data *= 1.25
    values = measure_drift(moved, base, make_rows(4))
    assert all(one.amount == pytest.approx(0.25, rel=1e-4) for one in values["latent_relative_l2"])


def test_the_state_that_predicts_the_stop_is_no_latent(base):
    rows, moved = make_rows(4), copy.deepcopy(base)
    last = max(len(row.codes) for row in rows)
    [longest] = [row for row in rows if len(row.codes) == last]
    moved.mel_pos_embedding.emb.weight.data[last] += 1  # only the last code of the longest row stands there
    assert [one.amount for one in measure_drift(moved, base, [longest])["latent_relative_l2"]] == [0.0]
