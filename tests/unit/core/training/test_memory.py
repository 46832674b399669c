"""The memory model against what torch keeps and holds, counted on small models."""

from types import SimpleNamespace

import pytest
import torch

from benchmarks.held_tensors import HeldTensors
from stages.core.model.unified_voice import UnifiedVoice
from stages.core.training.batching import collate
from stages.core.training.lora import add_lora
from stages.core.training.machine import adapt_model
from stages.core.training.memory import (
    GIB,
    INPUT_WIDTHS,
    Adapters,
    Pass,
    Training,
    cast_weights,
    estimate_memory,
    layer_activations,
)
from stages.core.training.objective import compute_losses
from stages.core.training.optimiser import build_optimiser
from tests.kept_for_backward import kept_for_backward
from tests.tiny import SETTINGS, make_rows

SHAPE = SETTINGS.model_copy(update={"model_dim": 64, "layers": 3, "heads": 4, "max_mel_tokens": 200})
RANK, ROWS, POSITIONS = 4, 3, 50
ALL = tuple(INPUT_WIDTHS)
FLOAT32, BFLOAT16 = torch.float32, torch.bfloat16


def build(targets, dropout, dtype, checkpointing):
    """A model as it is trained, and its description; `targets` None trains it whole."""
    model = UnifiedVoice(SHAPE, dropout).train()
    if targets:
        add_lora(model, RANK, RANK, dropout, targets)
    adapters = Adapters(RANK, dropout, dict.fromkeys(targets, SHAPE.layers)) if targets else None
    adapt_model(model, SimpleNamespace(activation_checkpointing=checkpointing, compile=False))
    held, trained = (sum(value.numel() for value in model.parameters() if value.requires_grad or frozen)
                     for frozen in (True, False))
    return model, Training(SHAPE, held, trained, adapters, dropout, dtype, checkpointing, on_gpu=False)


@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize("dtype", [FLOAT32, BFLOAT16], ids=str)
@pytest.mark.parametrize("targets", [None, ALL, ("attn.c_attn",), ("mlp.c_fc", "mlp.c_proj")], ids=str)
def test_a_block_keeps_what_the_model_of_memory_says(targets, dtype, dropout):
    model, training = build(targets, dropout, dtype, checkpointing=False)
    inputs = torch.randn(ROWS, POSITIONS, SHAPE.model_dim).requires_grad_()

    def block():
        with torch.autocast("cpu", dtype, enabled=dtype == BFLOAT16):
            return model.gpt.h[0](inputs)

    counted = kept_for_backward(block, model.parameters())
    own_cast = 2 * 12 * SHAPE.model_dim**2 if dtype == BFLOAT16 else 0
    assert counted == pytest.approx(layer_activations(training, ROWS * POSITIONS) + own_cast, rel=0.05)


@pytest.mark.parametrize("checkpointing", [False, True], ids=["kept", "recomputed"])
@pytest.mark.parametrize("dtype", [FLOAT32, BFLOAT16], ids=str)
@pytest.mark.parametrize("targets", [None, ALL], ids=["full", "lora"])
def test_peak_of_a_step_is_estimated_within_15_percent(targets, dtype, checkpointing):
    torch.manual_seed(0)
    model, training = build(targets, 0.05, dtype, checkpointing)
    batch = collate(make_rows(60), SHAPE.model_copy(update={"model_dim": 16}))
    batch = type(batch)(torch.randn(60, 3, SHAPE.model_dim), *list(vars(batch).values())[1:])
    parameters = {name: value for name, value in model.named_parameters() if value.requires_grad}
    optimiser = build_optimiser(parameters, 0.01)
    with HeldTensors(model.parameters()) as tensors:
        for _ in range(2):
            optimiser.zero_grad(set_to_none=True)
            with torch.autocast("cpu", dtype, enabled=dtype == BFLOAT16):
                losses = compute_losses(model, batch)
            (losses.text_sum + losses.code_sum).backward()
            del losses
            optimiser.step()
    largest = Pass(batch.layout.numel(), len(batch.text_targets), len(batch.code_targets))
    assert tensors.peak == pytest.approx(estimate_memory(training, largest).total, rel=0.15)


def needs(**changes):
    _, training = build(changes.pop("targets", None), 0.05, FLOAT32, False)
    return estimate_memory(Training(**{**vars(training), **changes}), Pass(20_000, 2_000, 6_000))


def test_what_costs_memory_and_what_saves_it():
    plain = needs()
    assert needs(checkpointing=True).total < 0.6 * plain.total
    assert needs(dtype=BFLOAT16).activations < 0.7 * plain.activations
    assert needs(on_gpu=True).total < plain.total < needs(accumulates=True).total
    assert needs(targets=ALL).optimiser < plain.optimiser
    assert needs(targets=ALL).activations > plain.activations, "adapters keep what they drop and the rank's states"


def test_shared_state_is_a_share_of_it():
    whole, shared = needs(), needs(shards=4)
    assert shared.optimiser == whole.optimiser / 4
    assert whole.weights / 4 < shared.weights < 2 * whole.weights
    assert needs(shards=4, teacher=1000).weights == shared.weights + 4000, "the teacher is whole on each"


def test_frozen_recomputed_blocks_keep_no_casts():
    _, lora = build(ALL, 0.0, BFLOAT16, True)
    _, full = build(None, 0.0, BFLOAT16, True)
    assert cast_weights(full) - cast_weights(lora) == 2 * 12 * SHAPE.model_dim**2 * (SHAPE.layers - 1)


def test_the_estimate_is_told_in_parts():
    said = str(needs())
    assert said.startswith(f"{needs().total / GIB:.2f} GiB (weights ") and "activations" in said
