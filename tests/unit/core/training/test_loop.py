import pytest
import torch

from stages.core.model.unified_voice import UnifiedVoice
from stages.core.training.batching import collate, length_bucketed
from stages.core.training.loop import Loop, LoopSettings
from stages.core.training.objective import compute_losses, weighted_loss
from stages.core.training.optimiser import build_optimiser
from stages.core.training.resume import ResumeStore
from stages.core.training.schedule import learning_rate_at
from tests.tiny import SETTINGS, make_rows

ROWS = make_rows(20)


class Killed(Exception):
    pass


def train(folder, die_at_step: int | None = None, save_every_seconds: float = 0.0):
    torch.manual_seed(0)
    voice = UnifiedVoice(SETTINGS, dropout=0.1)
    parameters = dict(voice.named_parameters())
    taken = 0

    def loss_of(indices):
        nonlocal taken
        if taken == die_at_step:
            raise Killed
        taken += 1
        losses = compute_losses(voice.train(), collate([ROWS[index] for index in indices], SETTINGS))
        loss = weighted_loss(losses, 0.2, 0.8, losses.text_tokens, losses.code_tokens)
        return loss, {"tokens": losses.text_tokens + losses.code_tokens}

    def epoch_batches(epoch):
        return length_bucketed([len(row.codes) for row in ROWS], 4, torch.Generator().manual_seed(epoch))

    points = []
    loop = Loop(LoopSettings(3, 0.01, 2, 1.0, 2, save_every_seconds, 7), parameters,
                build_optimiser(parameters, 0.01), epoch_batches, loss_of, None, ResumeStore(folder))
    (folder).mkdir(exist_ok=True)
    state = loop.run(lambda figures, _: points.append(figures))
    return {name: value.detach().clone() for name, value in parameters.items()}, state, points


@pytest.mark.parametrize("die_at_step", [1, 4, 5, 7, 13])
def test_a_killed_run_continues_to_the_same_bytes_and_the_same_curve(tmp_path, die_at_step):
    whole, whole_state, whole_points = train(tmp_path / "whole")
    with pytest.raises(Killed):
        train(tmp_path / "killed", die_at_step)
    again, state, points = train(tmp_path / "killed")
    assert all(torch.equal(value, again[name]) for name, value in whole.items())
    assert (state.step, state.tokens_seen, state.curve) == (15, whole_state.tokens_seen, whole_state.curve)
    assert points == whole_points


def test_a_finished_run_is_not_trained_again(tmp_path):
    first, _, _ = train(tmp_path)
    second, state, _ = train(tmp_path, die_at_step=0)
    assert state.step == 15 and all(torch.equal(value, second[name]) for name, value in first.items())


def test_a_loss_that_is_no_number_stops_the_run(tmp_path):
    voice = UnifiedVoice(SETTINGS)
    parameters = dict(voice.named_parameters())
    loop = Loop(LoopSettings(1, 0.01, 0, 1.0, 1, 9.0, 0), parameters, build_optimiser(parameters, 0.0),
                lambda epoch: [[0]], lambda rows: (voice.mel_head.weight.sum() * torch.nan, {"tokens": 1}), None,
                ResumeStore(tmp_path))
    with pytest.raises(RuntimeError, match="non-finite"):
        loop.run(lambda *_: None)


def test_the_rate_rises_then_falls_to_nothing():
    rates = [learning_rate_at(step, 100, 1.0, 10) for step in range(101)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == pytest.approx(1.0) and rates[10] == max(rates)
    assert rates[55] == pytest.approx(0.5, abs=0.01) and rates[100] == pytest.approx(0.0, abs=1e-9)
    assert learning_rate_at(0, 4, 1.0, 100) == pytest.approx(0.5)
