"""How far the memory model is off: its estimate against what a step was seen to hold.

counted:   bytes of the storages that torch holds at the peak (benchmarks.held_tensors).
resident:  the process's peak over what it held before the model was built (see PeakMemory), pages given back at once.
Each case is a process of its own, dropout 0.05 as the released schedule has it, the widest batch of a pool of 16.

At the released shape in bfloat16 the steps are counted on tensors without data, which need neither memory nor time.
On a GPU resident is its allocated memory, and the released shape is measured.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from benchmarks.device import BYTES_PER_MIB, Machine, PeakMemory, run_in_child, this_machine, this_processor
from benchmarks.held_tensors import HeldTensors
from benchmarks.lengths import draw_rows
from benchmarks.memory_case import Trainer, load_libraries
from benchmarks.shapes import SHAPES
from benchmarks.training_memory import APPROACHES
from benchmarks.training_speed import cut
from stages.core.training.batching import Row, collate
from stages.core.training.memory import Pass, Training, estimate_memory
from stages.core.training.plan import POOL_BATCHES
from stages.finetune.memory_need import adapters_of
from stages.finetune.throughput import KEPT, RECOMPUTED

DROPOUT = 0.05
CPU_CASES = (("miniature", 8), ("miniature", 16), ("medium", 2), ("medium", 4))
RELEASED_CASES = (("released", 4), ("released", 8))
GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
Case = dict[str, Any]


def measure(
    machine: Machine, cases: tuple[tuple[str, int], ...] | None = None,
    weightless: tuple[tuple[str, int], ...] = RELEASED_CASES,
) -> dict[str, Any]:
    """All cases: LoRA and full, activations kept and recomputed, several batch sizes."""
    chosen = cases or (RELEASED_CASES if machine.is_cuda else CPU_CASES)
    os.environ.update(GIVE_BACK)
    measured = [run_in_child("benchmarks.memory_model", case) for case in spread(chosen)]
    counted = [with_errors({**case, **count_weightless(case)}) for case in spread(weightless)]
    return {"cases": measured, "weightless": counted,
            "worst_error": max(abs(case[name]) for case in [*measured, *counted] for name in case if "_error" in name)}


def spread(cases: tuple[tuple[str, int], ...]) -> Iterator[Case]:
    """Every approach and variant of every shape and batch."""
    for shape, batch in cases:
        for approach in APPROACHES:
            for variant in (KEPT, RECOMPUTED):
                yield {"shape": shape, "batch_utterances": batch, "approach": approach, "variant": variant}


def main(argv: list[str]) -> int:
    """Measure one case and print it."""
    case = json.loads(argv[0])
    print(json.dumps(with_errors({**case, **measure_case(this_machine(), case)})))
    return 0


def measure_case(machine: Machine, case: Case) -> Case:
    """Resident and counted peak of two steps, and the estimate."""
    rows = widest_rows(case)
    load_libraries()
    memory = PeakMemory(machine)
    trainer = build_trainer(machine, case)
    for _ in range(2):
        trainer.step(rows)
    resident = memory.mib()
    state = [slot for slots in trainer.optimiser.state.values() for slot in slots.values()]
    with HeldTensors([*trainer.model.parameters(), *state]) as tensors:
        trainer.step(rows)
    dtype = torch.bfloat16 if machine.is_cuda else torch.float32
    return {"resident_mib": resident, "counted_mib": round(tensors.peak / BYTES_PER_MIB, 1),
            "estimated_mib": estimated_mib(trainer, rows, case, dtype, machine.is_cuda)}


def count_weightless(case: Case) -> Case:
    """Counted peak and estimate of a step in bfloat16 on tensors without data."""
    rows = widest_rows(case)
    trainer = build_trainer(Machine(torch.device("meta"), "no device"), case)
    trainer.machine, trainer.half = this_processor(), True
    with unmasked(), FakeTensorMode(allow_non_fake_inputs=True):
        lay_out(trainer.model)
        trainer.take_parameters()
        with HeldTensors(trainer.model.parameters()) as tensors:
            for _ in range(2):
                trainer.step(rows)
    return {"counted_mib": round(tensors.peak / BYTES_PER_MIB, 1),
            "estimated_mib": estimated_mib(trainer, rows, case, torch.bfloat16, False)}


def widest_rows(case: Case) -> list[Row]:
    """The widest batch of a pool."""
    shape, batch = SHAPES[case["shape"]](), case["batch_utterances"]
    return cut(draw_rows(shape, POOL_BATCHES * batch, seed=0), batch, bucketed=True)[-1]


def build_trainer(machine: Machine, case: Case) -> Trainer:
    """The case's model with dropout, and its optimiser."""
    return Trainer(machine, SHAPES[case["shape"]](), case["approach"] == "lora", case["variant"], DROPOUT)


def lay_out(model: nn.Module) -> None:
    """Give every parameter the kind of tensor that is made now."""
    for module in model.modules():
        for name, value in module.named_parameters(recurse=False):
            setattr(module, name, nn.Parameter(torch.empty(value.shape), requires_grad=value.requires_grad))


def unmasked() -> AbstractContextManager[Any]:
    """Let attention take its causal path, as it does when positions can be looked at."""
    return mock.patch("transformers.models.gpt2.modeling_gpt2.create_causal_mask", return_value=None)


def estimated_mib(trainer: Trainer, rows: list[Row], case: Case, dtype: torch.dtype, on_gpu: bool) -> float:
    """What the product would say before the step."""
    model = trainer.model
    batch = collate(rows, model.settings)
    training = Training(
        settings=model.settings, held=sum(value.numel() for value in model.parameters()),
        trained=sum(value.numel() for value in trainer.parameters.values()), adapters=adapters_of(trainer.trainee),
        dropout=DROPOUT, dtype=dtype, checkpointing=case["variant"] == RECOMPUTED, on_gpu=on_gpu,
    )
    largest = Pass(batch.layout.numel(), len(batch.text_targets), len(batch.code_targets))
    return round(estimate_memory(training, largest).total / BYTES_PER_MIB, 1)


def with_errors(case: Case) -> Case:
    """The case, and the estimate's error against each thing that was seen, as a share."""
    seen = [name for name in ("counted", "resident") if f"{name}_mib" in case]
    return {**case, **{f"{name}_error": round(case["estimated_mib"] / case[f"{name}_mib"] - 1, 4) for name in seen}}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
