"""The benchmarks of memory, at a size that takes a second."""

import pytest
import torch

from benchmarks import memory_model, released_step
from benchmarks.device import PeakMemory, this_processor
from benchmarks.held_tensors import HeldTensors
from benchmarks.page import render
from benchmarks.results_folder import save
from benchmarks.shapes import Shape
from stages.core.errors import UserError
from tests.kept_for_backward import kept_for_backward
from tests.tiny import SETTINGS

MACHINE = this_processor()
TINY = Shape("tiny", SETTINGS.model_copy(update={"model_dim": 64, "heads": 4}), 10, 2.0, 1.0)


@pytest.fixture
def tiny_shape(monkeypatch):
    monkeypatch.setitem(memory_model.SHAPES, "tiny", lambda: TINY)
    monkeypatch.setattr(PeakMemory, "mib", lambda self: 40.0)
    monkeypatch.setattr(memory_model, "run_in_child", lambda module, case: memory_model.with_errors(
        {**case, **memory_model.measure_case(MACHINE, case)}))


def test_estimate_counted_and_resident_of_every_approach_and_variant(tiny_shape, tmp_path):
    result = memory_model.measure(MACHINE, (("tiny", 8),), (("tiny", 8),))
    assert [(case["approach"], case["variant"][12:]) for case in result["cases"]] == [
        (approach, variant) for approach in ("lora", "full") for variant in ("kept", "recomputed")]
    for case in result["cases"]:
        assert case["counted_mib"] > 0 and case["resident_error"] == round(case["estimated_mib"] / 40 - 1, 4)
    assert all("resident_mib" not in case and abs(case["counted_error"]) < 0.25 for case in result["weightless"])
    save(tmp_path, "memory_model", MACHINE, result)
    page = render(tmp_path)
    assert f"worst error {result['worst_error']:.1%}" in page and "| tiny, without data | 8 | full |" in page


def test_steps_without_data_hold_what_steps_with_data_hold(tiny_shape):
    case = {"shape": "tiny", "batch_utterances": 8, "approach": "full", "variant": memory_model.KEPT}
    trainer = memory_model.build_trainer(MACHINE, case)
    trainer.half = True
    with HeldTensors(trainer.model.parameters()) as tensors:
        for _ in range(2):
            trainer.step(memory_model.widest_rows(case))
    assert memory_model.count_weightless(case)["counted_mib"] == pytest.approx(tensors.peak / 2**20, rel=0.06)


def test_held_tensors_are_counted_once_and_forgotten_when_gone():
    with HeldTensors() as tensors:
        first = torch.zeros(1000)
        view = first[:10] + 0
        del first
    assert tensors.peak == 4040 and tensors.held == 40
    assert len(view) == 10


def test_what_autograd_keeps_is_counted_once():
    weight, inputs = torch.ones(4, 4, requires_grad=True), torch.ones(3, 4)
    assert kept_for_backward(lambda: (inputs @ weight).exp(), [weight]) == inputs.nbytes + 3 * 4 * 4


def test_a_part_that_fails_says_why(tmp_path):
    with pytest.raises(UserError, match="exit 1"):
        released_step.run_part(["benchmarks.no_such_module"], str(tmp_path))
    told = released_step.run_part(["json.tool", "--help"], str(tmp_path))
    assert told["peak_gb"] > 0 and "usage" in told["said"]


def test_the_released_size_and_its_goal_are_told(tmp_path):
    page = render(tmp_path)
    assert "## The released size on a CPU" in page and "Unmeasured." in page
    save(tmp_path, "released_step", MACHINE, {
        "parts": {"export": {"peak_gb": 9.5, "seconds": 40.0}}, "peak_gb": 9.5, "seconds": 40.0, "precision": "float32",
        "estimated_step_gb": 8.0, "trained": {"trained": 5, "total": 10}, "goal_gb": 24, "goal_seconds": 600})
    assert "| goal | < 24 | < 600: met |" in render(tmp_path)


def test_its_vocabularies_have_the_released_sizes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(released_step, "UnifiedVoice", lambda settings: torch.nn.Linear(1, 1))
    monkeypatch.setattr(released_step, "Conditioner", lambda settings: torch.nn.Linear(1, 1))
    released_step.prepare()
    base, new = (released_step.Tokenizer(folder / "bpe.model")
                 for folder in (released_step.BASE, released_step.VOCABULARY))
    assert (len(base), len(new)) == (12_000, 20_000)
