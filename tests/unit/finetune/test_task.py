import shutil

import pytest
import torch

from stages.core.errors import UserError
from stages.core.training.parallel import Processes
from stages.core.training.resume import ResumeStore
from stages.finetune.assemble import build_loop, build_task, thin, training_rows, validation_rows
from stages.finetune.watch import ignore
from tests.tiny_job import make_job, make_workplace

SOLE = Processes(0, 1, torch.device("cpu"))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("task")
    make_workplace(folder)
    return folder


def gradients(job):
    torch.manual_seed(0)
    task = build_task(job, SOLE)
    figures = task.backward(next(iter(task.steps(0, 0))))
    return {name: value.grad.clone() for name, value in task.parameters.items()}, figures


@pytest.mark.parametrize("approach", ["lora", "full"])
@pytest.mark.parametrize("machine", [
    {"micro_batch_utterances": 1}, {"micro_batch_utterances": 3}, {"data_workers": 1},
    {"activation_checkpointing": True},
], ids=str)
def test_the_machine_changes_neither_gradient_nor_figures(place, approach, machine):
    replay = {"replay_share": 0.2, "replay_kl_weight": 0.5}
    whole, figures = gradients(make_job(place, approach, **replay))
    other, others_figures = gradients(make_job(place, approach, machine=machine, **replay))
    for name, value in whole.items():
        torch.testing.assert_close(other[name], value, atol=1e-5, rtol=1e-5)
    assert others_figures == pytest.approx(figures, rel=1e-5, abs=1e-6)


@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler")
def test_compiled_blocks_give_the_same_gradient(place):
    plain, _ = gradients(make_job(place))
    compiled, _ = gradients(make_job(place, machine={"compile": True}))
    for name, value in plain.items():
        torch.testing.assert_close(compiled[name], value, atol=1e-5, rtol=1e-5)


def test_bfloat16_is_near_float32(place):
    """Eight bits of mantissa: each product is off by up to 0.4 %, a mean over many of them by less."""
    _, exact = gradients(make_job(place))
    _, rounded = gradients(make_job(place, machine={"precision": "bfloat16"}))
    assert rounded["loss"] == pytest.approx(exact["loss"], rel=0.01) and rounded["loss"] != exact["loss"]


def test_the_loss_is_the_weighted_sum_of_its_parts(place):
    _, figures = gradients(make_job(place, replay_share=0.2, replay_kl_weight=0.5))
    parts = 0.2 * figures["text_cross_entropy"] + 0.8 * figures["code_cross_entropy"]
    assert figures["replay_divergence"] >= 0 and figures["loss"] == pytest.approx(parts, rel=1e-5), (
        "the untrained model is its own teacher, so nothing diverges yet")


def test_the_divergence_term_holds_the_model_to_the_base(place, tmp_path):
    def diverged(weight):
        job = make_job(place, epochs=6, replay_share=0.3, replay_kl_weight=weight)
        loop = build_loop(job, build_task(job, SOLE), SOLE, ResumeStore(tmp_path / str(weight)))
        return loop.run(ignore).curve[-2]["replay_divergence"]

    assert diverged(5.0) < 0.7 * diverged(1e-9)


def test_replay_without_base_language_rows_is_refused(place, tmp_path):
    make_workplace(tmp_path)
    index = tmp_path / "data/features/index.jsonl"
    index.write_text("\n".join(line for line in index.read_text().splitlines() if "base-train" not in line))
    with pytest.raises(UserError, match=r"no training utterance of role base; phases.full.replay_share is 0.2"):
        training_rows(make_job(tmp_path, replay_share=0.2))
    assert {row.role for row in training_rows(make_job(tmp_path)).utterances} == {"target"}


def test_choosing_the_best_needs_held_out_rows(place, tmp_path):
    make_workplace(tmp_path)
    index = tmp_path / "data/features/index.jsonl"
    index.write_text("\n".join(line for line in index.read_text().splitlines() if "-validation" not in line))
    with pytest.raises(UserError, match="no validation utterance for finetune.selection_metric"):
        validation_rows(make_job(tmp_path))
    assert len(validation_rows(make_job(tmp_path, config={"hand_on": "last"}))["target"]) == 0


def test_a_thinned_validation_set_is_spread_over_the_whole(place):
    rows = validation_rows(make_job(place))["target"].utterances
    lengths = [row.text_tokens + row.code_tokens for row in thin(rows, 100)]
    assert len(thin(rows, 2)) == 2 and len(lengths) == len(rows) and lengths == sorted(lengths)


@pytest.mark.parametrize("where", ["backward", "optimiser"])
def test_out_of_memory_is_one_message_with_the_need_and_the_remedies(place, tmp_path, monkeypatch, where):
    loop = build_loop(make_job(place), build_task(make_job(place), SOLE), SOLE, ResumeStore(tmp_path))

    def fail(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3.00 GiB")

    # Adam's state is allocated in the first step of the optimiser, so memory may run out there as well
    monkeypatch.setattr(*(loop.task, "_backward_part") if where == "backward" else (loop.optimiser, "step"), fail)
    with pytest.raises(UserError, match=r"out of memory on cpu at a forward pass of [\d,]+ positions; estimated need "
                                        r"[\d.]+ GiB .*machine.micro_batch_utterances \(now 0; same result\).*"
                                        r"utterances target-train-\d+"):
        loop.run(ignore)


def test_other_errors_are_not_taken_for_it(place, tmp_path, monkeypatch):
    loop = build_loop(make_job(place), build_task(make_job(place), SOLE), SOLE, ResumeStore(tmp_path))
    monkeypatch.setattr(loop.task, "_backward_part", lambda *_: (_ for _ in ()).throw(RuntimeError("shape mismatch")))
    with pytest.raises(RuntimeError, match="shape mismatch"):
        loop.run(ignore)
