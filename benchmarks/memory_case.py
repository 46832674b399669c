"""One measurement of memory in a process of its own: `python -m benchmarks.memory_case CASE`, CASE a JSON object.

kind approach: shape, batch_utterances, approach (lora | full), variant (see benchmarks.training_memory)
kind logits:   layout (padded | bucketed), text_tokens
Prints a JSON object: the case and its figures.
"""

import json
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import nn

from benchmarks.device import BYTES_PER_MIB, Machine, PeakMemory, this_machine
from benchmarks.layouts import LAYOUTS, bucketed_loss
from benchmarks.lengths import draw_rows, supervised_tokens
from benchmarks.shapes import SHAPES, Shape, miniature
from benchmarks.training_memory import COMPILED, RECOMPUTED
from benchmarks.training_speed import CLIP_NORM, LEARNING_RATE, WEIGHT_DECAY, cut
from stages.core.model.unified_voice import UnifiedVoice
from stages.core.params.shared import MachineConfig
from stages.core.params.strict import load_section
from stages.core.training.batching import Row
from stages.core.training.flops import peak_flops, work_of
from stages.core.training.lora import add_lora
from stages.core.training.machine import adapt_model
from stages.core.training.optimiser import build_optimiser
from stages.core.training.plan import POOL_BATCHES
from stages.finetune.trainee import Trainee

RANK, ALPHA = 16, 16
TARGETS = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
PRESET = Path("presets/indextts2.yaml")
TIMED_STEPS = 3
LOGIT_ROWS = 8


def main(argv: list[str]) -> int:
    """Measure the case and print it."""
    case = json.loads(argv[0])
    measure = measure_approach if case["kind"] == "approach" else measure_logits
    print(json.dumps({**case, **measure(this_machine(), case)}))
    return 0


def measure_approach(machine: Machine, case: dict[str, Any]) -> dict[str, Any]:
    """Peak memory of the widest batch, and the time of the middle one."""
    shape = SHAPES[case["shape"]]()
    rows = draw_rows(shape, POOL_BATCHES * case["batch_utterances"], seed=0)
    batches = cut(rows, case["batch_utterances"], bucketed=True)
    load_libraries()
    memory = PeakMemory(machine)
    trainer = Trainer(machine, shape, case["approach"] == "lora", case["variant"])
    for _ in range(2):
        trainer.step(batches[-1])
    peak = memory.mib()
    middle = batches[len(batches) // 2]
    trainer.step(middle)
    seconds = median(trainer.step(middle) for _ in range(TIMED_STEPS))
    return {"peak_mib": peak, "step_seconds": round(seconds, 4),
            "tokens_per_second": round(supervised_tokens(middle) / seconds, 1),
            **trainer.trainee.counts(), **trainer.work(middle, seconds)}


def load_libraries() -> None:
    """What a LoRA step imports on its way, so that no code counts as memory of the step."""
    with torch.device("meta"):
        add_lora(UnifiedVoice(miniature().settings), RANK, ALPHA, 0.0, TARGETS)


class Trainer:
    """A model that is trained whole or by LoRA, as the product does it.

    Attributes:
        half: whether matrix products are bfloat16, as they are on CUDA.
    """

    def __init__(self, machine: Machine, shape: Shape, is_lora: bool, variant: str, dropout: float = 0.0):
        self.machine, self.is_lora, self.half = machine, is_lora, machine.is_cuda
        frozen_rows = shape.settings.number_text_tokens + 1 - shape.new_pieces
        with machine.device:
            self.model = UnifiedVoice(shape.settings, dropout)
            adapter = add_lora(self.model, RANK, ALPHA, dropout, TARGETS) if is_lora else None
        self.trainee = Trainee(self.model.train(), adapter, frozen_rows if is_lora else 0)
        asked = {"activation_checkpointing": variant == RECOMPUTED, "compile": variant == COMPILED}
        adapt_model(self.model, load_section(MachineConfig, "machine", PRESET).model_copy(update=asked))
        if machine.device.type != "meta":
            self.take_parameters()

    def take_parameters(self) -> None:
        """Give the model's parameters to a new optimiser."""
        self.parameters = self.trainee.parameters()
        self.optimiser = build_optimiser(self.parameters, WEIGHT_DECAY)
        for group in self.optimiser.param_groups:
            group["lr"] = LEARNING_RATE

    def step(self, rows: Sequence[Row]) -> float:
        """One optimiser step; its seconds."""
        self.machine.synchronise()
        started = time.perf_counter()
        self.optimiser.zero_grad(set_to_none=True)
        with torch.autocast(self.machine.device.type, torch.bfloat16, enabled=self.half):
            loss = bucketed_loss(self.model, rows, self.machine.device)
        loss.backward()
        self.trainee.keep_frozen_rows(self.parameters)
        nn.utils.clip_grad_norm_(self.parameters.values(), CLIP_NORM)
        self.optimiser.step()
        self.machine.synchronise()
        return time.perf_counter() - started

    def work(self, rows: Sequence[Row], seconds: float) -> dict[str, float | None]:
        """FLOPs the maths needs, a second, and their share of the device's peak; None where that is not known."""
        lengths = [(len(row.text), len(row.codes)) for row in rows]
        _, needed = work_of(self.model.settings, lengths, weights_trained=not self.is_lora)
        peak = peak_flops(self.machine.device)
        return {"flops_per_second": round(needed / seconds),
                "utilisation": round(needed / seconds / peak, 4) if peak else None}


def autocast(machine: Machine) -> AbstractContextManager[Any]:
    """bfloat16 on CUDA, float32 elsewhere."""
    return torch.autocast("cuda", torch.bfloat16) if machine.is_cuda else nullcontext()


def measure_logits(machine: Machine, case: dict[str, Any]) -> dict[str, Any]:
    """Peak of a forward and backward pass of the miniature with a larger text vocabulary."""
    shape = miniature()
    settings = shape.settings.model_copy(update={"number_text_tokens": case["text_tokens"]})
    rows = draw_rows(Shape("logits", settings, 0, shape.codes_per_second, shape.text_tokens_per_second), LOGIT_ROWS, 0)
    layout = LAYOUTS[case["layout"]]
    memory = PeakMemory(machine)
    model = UnifiedVoice(settings).to(machine.device).train()
    with autocast(machine):
        loss = layout.loss_of(model, rows, machine.device)
    loss.backward()
    weights = sum(value.numel() * value.element_size() for value in model.parameters())
    return {"peak_mib": round(memory.mib() - 2 * weights / BYTES_PER_MIB, 1)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
