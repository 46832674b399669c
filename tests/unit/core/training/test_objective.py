from dataclasses import replace

import pytest
import torch

from stages.core.model.unified_voice import UnifiedVoice
from stages.core.training import objective
from stages.core.training.batching import collate
from stages.core.training.objective import compute_losses, weighted_loss
from stages.core.training.steps import teaching_of
from tests.tiny import SETTINGS, make_rows


def gradients(voice, rows, parts):
    text_tokens = sum(len(row.text) + 1 for row in rows)
    code_tokens = sum(len(row.codes) + 1 for row in rows)
    voice.zero_grad()
    size = len(rows) // parts
    for start in range(0, len(rows), size):
        losses = compute_losses(voice, collate(rows[start : start + size], SETTINGS))
        weighted_loss(losses, 0.2, 0.8, text_tokens, code_tokens).backward()
    return {name: value.grad.clone() for name, value in voice.named_parameters()}


def test_the_gradient_does_not_depend_on_how_the_global_batch_is_cut():
    torch.manual_seed(0)
    voice, rows = UnifiedVoice(SETTINGS).eval(), make_rows(8)
    whole, cut = gradients(voice, rows, 1), gradients(voice, rows, 4)
    for name, value in whole.items():
        torch.testing.assert_close(cut[name], value, atol=1e-6, rtol=1e-4)


def test_chunks_change_neither_losses_nor_gradients(monkeypatch):
    torch.manual_seed(0)
    voice, rows = UnifiedVoice(SETTINGS).eval(), make_rows(8)
    whole = gradients(voice, rows, 1)
    monkeypatch.setattr(objective, "CHUNK_POSITIONS", 7)
    for name, value in gradients(voice, rows, 1).items():
        torch.testing.assert_close(value, whole[name], atol=1e-6, rtol=1e-4)


def test_the_divergence_is_that_of_the_replay_rows_and_nothing_from_oneself():
    torch.manual_seed(0)
    voice, other, rows = UnifiedVoice(SETTINGS).eval(), UnifiedVoice(SETTINGS).eval(), make_rows(4)
    rows = [replace(row, replay=index in (1, 2)) for index, row in enumerate(rows)]
    teaching = teaching_of(rows, SETTINGS)

    def divergence(teacher):
        _, states = teacher(teaching.rows)
        return compute_losses(voice, collate(rows, SETTINGS), (teaching.at, teacher.mel_head(states))).divergence_sum

    # the two batches are padded to different widths, so sums differ by rounding only
    assert abs(divergence(voice).item()) < 1e-4
    by_hand = 0.0
    for row in rows[1:3]:
        one = collate([row], SETTINGS)
        logs = [model.mel_head(model(one)[1]).log_softmax(dim=-1) for model in (voice, other)]
        by_hand += (logs[1].exp() * (logs[1] - logs[0])).sum().item()
    assert divergence(other).item() == pytest.approx(by_hand, rel=1e-4)


def test_losses_are_next_token_cross_entropies():
    torch.manual_seed(0)
    voice, row = UnifiedVoice(SETTINGS).eval(), make_rows(1)[0]
    batch = collate([row], SETTINGS)
    losses = compute_losses(voice, batch)
    _, states = voice(batch)
    log_probabilities = voice.mel_head(states).log_softmax(dim=-1)
    targets = [*row.codes.tolist(), SETTINGS.stop_mel_token]
    by_hand = -sum(log_probabilities[place, code] for place, code in enumerate(targets))
    torch.testing.assert_close(losses.code_sum, by_hand, atol=1e-4, rtol=1e-5)
    assert (losses.text_tokens, losses.code_tokens) == (len(row.text) + 1, len(row.codes) + 1)
