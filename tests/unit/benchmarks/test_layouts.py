import pytest
import torch

from benchmarks.layouts import LAYOUTS, PADDED, PUBLISHED, bucketed_loss, padded_loss
from benchmarks.lengths import LONGEST_SECONDS, SHORTEST_SECONDS, draw_rows, draw_seconds, supervised_tokens
from benchmarks.padded_trainer import as_published, collate_padded
from benchmarks.shapes import Shape
from stages.core.model.unified_voice import UnifiedVoice
from stages.core.training.batching import collate
from tests.tiny import SETTINGS, make_rows

CPU = torch.device("cpu")
TINY = Shape("tiny", SETTINGS, 10, 2.0, 1.0)


@pytest.fixture
def voice():
    torch.manual_seed(0)
    return UnifiedVoice(SETTINGS).train()


def test_one_row_has_the_same_loss_and_gradient_in_the_padded_layout(voice):
    rows = make_rows(6)[4:5]
    gradients = []
    for loss_of in (bucketed_loss, padded_loss):
        voice.zero_grad()
        loss = loss_of(voice, rows, CPU)
        loss.backward()
        gradients.append((loss.detach(), voice.gpt.h[0].attn.c_attn.weight.grad.clone()))
    torch.testing.assert_close(*gradients, atol=1e-6, rtol=1e-5)


def test_codes_of_the_padded_layout_stand_behind_padding(voice):
    rows = make_rows(6)
    batch = collate_padded(rows, SETTINGS)
    longest = max(len(row.text) for row in rows)
    assert batch.text.shape == (6, longest + 2) and batch.code_valid.sum() == sum(len(row.codes) + 1 for row in rows)
    assert batch.text[0, len(rows[0].text) + 1 :].unique().tolist() == [SETTINGS.stop_text_token]
    assert not torch.isclose(padded_loss(voice, rows, CPU), bucketed_loss(voice, rows, CPU), atol=1e-6)


@pytest.mark.parametrize("name", ["packed, row by row", "packed, dense mask"])
def test_packed_rows_have_the_same_loss_and_gradient(voice, name):
    rows, found = make_rows(6), []
    for layout in (LAYOUTS["bucketed"], LAYOUTS[name]):
        voice.zero_grad()
        with layout.setting(voice):
            loss = layout.loss_of(voice, rows, CPU)
            loss.backward()
        found.append((loss.detach(), [value.grad.clone() for value in voice.parameters()]))
    torch.testing.assert_close(*found, atol=1e-6, rtol=1e-4)


def test_what_was_published_differs_and_leaves_the_model_as_it_was(voice):
    rows = make_rows(6)
    before = padded_loss(voice, rows, CPU)
    with as_published(voice):
        assert voice.gpt.is_activation_checkpointing
        padded_loss(voice, rows, CPU).backward()
        assert not torch.isclose(padded_loss(voice, rows, CPU), before, atol=1e-6)
    assert not voice.gpt.is_activation_checkpointing
    assert torch.equal(padded_loss(voice, rows, CPU), before)
    assert LAYOUTS[PUBLISHED].loss_of is LAYOUTS[PADDED].loss_of


def test_lengths_spread_like_speech_and_follow_the_seed():
    seconds = torch.tensor(draw_seconds(4000, torch.Generator().manual_seed(0)))
    assert seconds.min() >= SHORTEST_SECONDS and seconds.max() <= LONGEST_SECONDS
    assert 4.5 < seconds.median() < 5.2 and 5.2 < seconds.mean() < 6.0
    rows, same, other = draw_rows(TINY, 20, 1), draw_rows(TINY, 20, 1), draw_rows(TINY, 20, 2)
    assert all(torch.equal(one.codes, two.codes) for one, two in zip(rows, same, strict=True))
    assert any(len(one.codes) != len(two.codes) for one, two in zip(rows, other, strict=True))
    batch = collate(rows, SETTINGS)
    assert supervised_tokens(rows) == len(batch.text_targets) + len(batch.code_targets)
