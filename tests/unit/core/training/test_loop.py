import math
import os
import signal

import pytest
import torch

from stages.core.errors import Interrupted, UserError
from stages.core.model.unified_voice import UnifiedVoice
from stages.core.training.batching import collate
from stages.core.training.loop import Loop, LoopSettings
from stages.core.training.objective import compute_losses, weighted_loss
from stages.core.training.optimiser import build_optimiser
from stages.core.training.parallel import Processes
from stages.core.training.plan import length_bucketed
from stages.core.training.resume import ResumeStore
from stages.core.training.schedule import learning_rate_at
from tests.tiny import SETTINGS, make_rows

ROWS = make_rows(20)
SOLE = Processes(0, 1, torch.device("cpu"))


class Killed(Exception):
    pass


class TinyTask:
    """Twenty rows, five steps an epoch; can die, be signalled, or go wrong at a step; validates by a given list."""

    steps_per_epoch = 5

    def __init__(self, die_at=None, signal_at=None, wrong_at=(), scores=None):
        torch.manual_seed(0)
        self.voice = UnifiedVoice(SETTINGS, dropout=0.1)
        self.parameters = dict(self.voice.named_parameters())
        self.die_at, self.signal_at, self.wrong_at, self.scores = die_at, signal_at, wrong_at, scores
        self.taken, self.validations = 0, 0

    def steps(self, epoch, first):
        batches = length_bucketed([len(row.codes) for row in ROWS], 4, torch.Generator().manual_seed(epoch))
        return batches[first:]

    def utterances(self, data):
        return [ROWS[index].utterance for index in data]

    def memory_advice(self, data):
        return "out of memory"

    def backward(self, data):
        if self.taken == self.die_at:
            raise Killed
        if self.taken == self.signal_at:
            os.kill(os.getpid(), signal.SIGTERM)
        self.taken += 1
        losses = compute_losses(self.voice.train(), collate([ROWS[index] for index in data], SETTINGS))
        loss = weighted_loss(losses, 0.2, 0.8, losses.text_tokens, losses.code_tokens)
        if self.taken in self.wrong_at:
            loss = loss * math.nan
        loss.backward()
        return {"loss": loss.item(), "tokens": losses.text_tokens + losses.code_tokens}

    def validate(self, stopping):
        if self.scores is None:
            return {}
        if stopping():
            return None
        self.validations += 1
        return {"score": self.scores[self.validations - 1]}


SETTINGS_OF_LOOP = LoopSettings(
    epochs=3, learning_rate=0.01, warmup_steps=2, clip_norm=1.0, gradient_norm_max=100.0, skipped_steps_max=2,
    log_every_steps=2, validate_every_steps=0, metric="score", lower_is_better=True, patience_validations=0,
    hand_on="last", save_every_seconds=0.0, save_every_steps=1000, seed=7,
)


def train(folder, task=None, **changes):
    task = task or TinyTask()
    settings = LoopSettings(**{**vars(SETTINGS_OF_LOOP), **changes})
    points = []
    loop = Loop(settings, task, build_optimiser(task.parameters, 0.01), ResumeStore(folder, keep=2), SOLE)
    state = loop.run(lambda figures, _: points.append(figures))
    return {name: value.detach().clone() for name, value in task.parameters.items()}, state, points


def same(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize("die_at", [1, 4, 5, 7, 13])
def test_a_killed_run_continues_to_the_same_bytes_and_the_same_curve(tmp_path, die_at):
    whole, whole_state, whole_points = train(tmp_path / "whole")
    with pytest.raises(Killed):
        train(tmp_path / "killed", TinyTask(die_at=die_at))
    again, state, points = train(tmp_path / "killed")
    assert same(whole, again)
    assert (state.step, state.tokens_seen, state.curve) == (15, whole_state.tokens_seen, whole_state.curve)
    assert points == whole_points


def test_a_signal_saves_the_step_and_the_run_continues_to_the_same_bytes(tmp_path):
    whole, _, _ = train(tmp_path / "whole")
    with pytest.raises(Interrupted) as stop:
        train(tmp_path / "stopped", TinyTask(signal_at=6), save_every_seconds=1e9)
    assert stop.value.status == 128 + signal.SIGTERM
    assert ResumeStore(tmp_path / "stopped").peek()["step"] == 7
    again, _, _ = train(tmp_path / "stopped", save_every_seconds=1e9)
    assert same(whole, again)


def test_a_signal_during_validation_saves_and_the_validation_comes_after(tmp_path):
    class Signalled(TinyTask):
        def validate(self, stopping):
            if self.taken == 5:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().validate(stopping)

    with pytest.raises(Interrupted):
        train(tmp_path, Signalled(scores=[4.0] * 9))
    _, state, points = train(tmp_path, TinyTask(scores=[3.0] * 9))
    assert [point["step"] for point in points if "score" in point] == [0, 5, 10, 15]


def test_a_run_of_fewer_steps_than_its_epochs_ends_there_at_rate_zero_and_validates(tmp_path):
    _, state, points = train(tmp_path, TinyTask(scores=[3.0, 2.0, 1.0, 4.0]), steps_max=8, log_every_steps=1)
    assert state.step == 8
    assert [point["step"] for point in points if "score" in point] == [0, 5, 8]
    rates = [point["learning_rate"] for point in points if "learning_rate" in point]
    assert rates[-1] < 0.1 * max(rates)


def test_states_are_saved_by_steps_and_the_last_ones_kept(tmp_path):
    train(tmp_path, save_every_seconds=1e9, save_every_steps=4)
    assert [path.name for path in ResumeStore(tmp_path).states()] == [
        "state-000000012.safetensors", "state-000000015.safetensors"]


def test_a_damaged_state_is_named_and_the_one_before_it_taken(tmp_path, capsys):
    whole, _, _ = train(tmp_path)
    ResumeStore(tmp_path).states()[-1].write_bytes(b"torn")
    again, _, _ = train(tmp_path)
    assert same(whole, again) and "state-000000015.safetensors: damaged" in capsys.readouterr().err


def test_a_finished_run_is_not_trained_again(tmp_path):
    first, _, _ = train(tmp_path)
    second, state, _ = train(tmp_path, TinyTask(die_at=0))
    assert state.step == 15 and same(first, second)


def test_steps_without_a_usable_gradient_are_skipped_counted_and_named(tmp_path):
    weights, state, _ = train(tmp_path, TinyTask(wrong_at=(3, 8)))
    assert [skip["step"] for skip in state.skipped] == [3, 8]
    assert len(state.skipped[0]["utterances"]) == 4 and "loss nan" in state.skipped[0]["reason"]
    assert all(bool(value.isfinite().all()) for value in weights.values())
    assert all(math.isfinite(value) for point in state.curve for value in point.values())


def test_too_many_skipped_steps_end_the_run_with_the_utterances_named(tmp_path):
    with pytest.raises(UserError, match=r"skipped_steps_max = 2 .*step 9: loss nan.*utterances row-\d+, row-\d+"):
        train(tmp_path, TinyTask(wrong_at=(3, 8, 9)))


def test_an_exploding_gradient_is_skipped(tmp_path):
    with pytest.raises(UserError, match="gradient_norm_max 1e-06"):
        train(tmp_path, gradient_norm_max=1e-6)


def test_the_best_weights_are_handed_on_and_the_last_are_a_candidate(tmp_path):
    by_step = {}

    class Recording(TinyTask):
        def validate(self, stopping):
            by_step[self.taken] = {name: value.detach().clone() for name, value in self.parameters.items()}
            return super().validate(stopping)

    best, state, _ = train(tmp_path / "middle", Recording(scores=[4.0, 3.0, 2.0, 2.5]), hand_on="best")
    assert (state.best_step, state.best_value, state.step) == (10, 2.0, 15)
    assert same(best, by_step[10]) and not same(best, by_step[15])
    start, state, _ = train(tmp_path / "first", Recording(scores=[1.0, 3.0, 2.0, 2.5]), hand_on="best")
    assert state.best_step == 0 and same(start, by_step[0])
    last, state, _ = train(tmp_path / "last", Recording(scores=[4.0, 3.0, 2.0, 1.5]), hand_on="best")
    assert state.best_step == 15 and same(last, by_step[15])
    highest, state, _ = train(tmp_path / "high", Recording(scores=[0.1, 0.4, 0.2, 0.3]), hand_on="best",
                              lower_is_better=False)
    assert state.best_step == 5 and same(highest, by_step[5])


def test_a_validation_without_a_number_is_never_the_best(tmp_path):
    _, state, _ = train(tmp_path, TinyTask(scores=[math.nan, 3.0, math.nan, 4.0]), hand_on="best")
    assert (state.best_step, state.best_value) == (5, 3.0)


def test_the_best_weights_survive_a_kill(tmp_path):
    scores = [4.0, 3.0, 2.0, 2.5]
    best, _, _ = train(tmp_path / "whole", TinyTask(scores=scores), hand_on="best")
    with pytest.raises(Killed):
        train(tmp_path / "killed", TinyTask(die_at=12, scores=scores), hand_on="best")
    again, state, _ = train(tmp_path / "killed", TinyTask(scores=[2.5]), hand_on="best")
    assert state.best_step == 10 and same(best, again)


def test_a_run_without_progress_stops_early(tmp_path):
    _, state, _ = train(tmp_path, TinyTask(scores=[1.0, 2.0, 3.0, 0.5]), patience_validations=2)
    assert (state.step, state.best_step) == (10, 0)


def test_validation_comes_at_the_start_at_the_ends_of_epochs_and_between(tmp_path):
    _, _, points = train(tmp_path, TinyTask(scores=[1.0] * 20), validate_every_steps=3)
    assert [point["step"] for point in points if "score" in point] == [0, 3, 5, 6, 9, 10, 12, 15]


def test_the_rate_rises_then_falls_to_nothing():
    rates = [learning_rate_at(step, 100, 1.0, 10) for step in range(101)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == pytest.approx(1.0) and rates[10] == max(rates)
    assert rates[55] == pytest.approx(0.5, abs=0.01) and rates[100] == pytest.approx(0.0, abs=1e-9)
    assert learning_rate_at(0, 4, 1.0, 100) == pytest.approx(0.5)
