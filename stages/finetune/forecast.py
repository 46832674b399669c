"""What a phase will take, counted or estimated before it runs: parameters, memory, tokens, hours, disk."""

from dataclasses import dataclass
from typing import Any

import torch

from stages.core.model.settings import GptSettings
from stages.core.model.unified_voice import UnifiedVoice
from stages.core.params.shared import MachineConfig
from stages.core.training.flops import work_of
from stages.core.training.memory import GIB, MemoryEstimate, estimate_memory
from stages.finetune.config import Phase
from stages.finetune.expected_speech import ExpectedSpeech
from stages.finetune.memory_need import (
    rows_a_pass,
    rows_a_process,
    taught_share,
    training_of,
    widest_pass,
)
from stages.finetune.throughput import Device, Speed, speed_of
from stages.finetune.trainee import Trainee, prepare_model

CONTEXT_GIB, FRAGMENTS = 1.0, 0.05  # CUDA's context and libraries; share that the allocator cannot use
LIBRARIES_GIB = 0.6  # torch, transformers and peft in memory, on a CPU
INDEX_LINE_BYTES = 330
LAUNCH_SECONDS = 0.0025  # a layer and forward pass on a GPU: launching its kernels and their backward, assumed


@dataclass(frozen=True)
class PlannedPhase:
    """A phase, and its model on the meta device: shapes without weights."""

    name: str
    phase: Phase
    trainee: Trainee
    teacher_parameters: int

    @classmethod
    def build(cls, name: str, phase: Phase, base: GptSettings, pieces: int) -> "PlannedPhase":
        """Count by building: the base's shape with rows for all pieces, wrapped as the phase wraps it."""
        with torch.device("meta"):
            model = UnifiedVoice(base.model_copy(update={"number_text_tokens": pieces}), phase.dropout)
            trainee = prepare_model(model, phase, base.number_text_tokens)
            teacher = UnifiedVoice(base) if phase.replay_kl_weight > 0 else None
        taught = sum(value.numel() for value in teacher.parameters()) if teacher else 0
        return cls(name, phase, trainee, taught)

    def memory(self, machine: MachineConfig, device: Device, speech: ExpectedSpeech, count: int) -> MemoryEstimate:
        """Peak of one process, its widest batch as long as the corpus allows."""
        training = training_of(self.trainee, self.phase, machine, precision_of(machine, device), device.is_gpu, count,
                               self.teacher_parameters)
        rows = rows_a_pass(self.phase, machine, count)
        settings = self.trainee.model.settings
        return estimate_memory(training, widest_pass(settings, rows, [speech.longest], taught_share(self.phase)))


def precision_of(machine: MachineConfig, device: Device) -> torch.dtype:
    """The dtype of matrix products; `auto` is bfloat16 on a GPU, and on a CPU float32, which is the larger."""
    half = machine.precision == "bfloat16" or (machine.precision == "auto" and device.is_gpu)
    return torch.bfloat16 if half else torch.float32


def need_gib(memory: MemoryEstimate, device: Device) -> float:
    """What a device must have for such a peak: what torch does not count added."""
    own = memory.total / GIB
    return own * (1 + FRAGMENTS) + CONTEXT_GIB if device.is_gpu else own + LIBRARIES_GIB


@dataclass(frozen=True)
class PhaseForecast:
    """One line of the plan.

    Attributes:
        trained, total: parameters that change, and of the model that is trained.
        need_gib: memory a device must have.
        tokens, steps: supervised tokens and optimiser steps of all epochs.
        hours: on all devices together; None where no speed is known.
        checkpoint_bytes, state_bytes: of the phase's folder, and of its states in .resume.
    """

    name: str
    approach: str
    epochs: int
    trained: int
    total: int
    memory: MemoryEstimate
    need_gib: float
    tokens: int
    steps: int
    flops: float
    hours: float | None
    speed: Speed
    checkpoint_bytes: int
    state_bytes: int

    def as_json(self) -> dict[str, Any]:
        """The same figures, for programs."""
        plain = {name: value for name, value in vars(self).items() if name not in ("memory", "speed")}
        return {**plain, "memory_bytes": {**vars(self.memory), "total": self.memory.total},
                "flops_per_second": self.speed.flops_per_second, "speed_measured": self.speed.measured}


def forecast_phase(
    planned: PlannedPhase, machine: MachineConfig, device: Device, speech: ExpectedSpeech, train_hours: float
) -> PhaseForecast:
    """All figures of one phase over so many hours of target speech."""
    phase, counts = planned.phase, planned.trainee.counts()
    memory = planned.memory(machine, device, speech, device.count)
    utterances = speech.count(train_hours)
    rows = utterances + round(utterances * phase.replay_share / (1 - phase.replay_share))
    tokens, flops = epoch_work(planned, speech, rows)
    speed = speed_of(device, phase.approach, machine.activation_checkpointing, int(counts["total"]))
    flops, steps = flops * phase.epochs, phase.epochs * -(-rows // phase.batch_utterances)
    passes = steps * -(-rows_a_process(phase, device.count) // rows_a_pass(phase, machine, device.count))
    launches = passes * planned.trainee.model.settings.layers * LAUNCH_SECONDS * (device.is_gpu and not speed.measured)
    known = speed.flops_per_second
    model_bytes = 4 * int(counts["total"])
    own = sum(value.numel() for value in planned.trainee.parameters().values())
    return PhaseForecast(
        name=planned.name, approach=phase.approach, epochs=phase.epochs, trained=int(counts["trained"]),
        total=int(counts["total"]), memory=memory, need_gib=need_gib(memory, device), tokens=tokens * phase.epochs,
        steps=steps, flops=flops, speed=speed,
        hours=max(flops / known / device.count, launches) / 3600 if known else None,
        checkpoint_bytes=model_bytes + (4 * own if planned.trainee.adapter else 0),
        state_bytes=12 * own * machine.keep_states + 4 * own,
    )


def epoch_work(planned: PlannedPhase, speech: ExpectedSpeech, rows: int) -> tuple[int, float]:
    """Supervised tokens and FLOPs of one epoch of so many rows, a teacher's forward pass on replay rows included."""
    settings, each = planned.trainee.model.settings, rows / len(speech.utterances)
    lengths = [(row.text_tokens, row.code_tokens) for row in speech.utterances]
    tokens, flops = work_of(settings, lengths, weights_trained=planned.phase.approach == "full")
    if planned.phase.replay_kl_weight > 0:
        _, taught = work_of(settings, lengths, weights_trained=True)
        flops += planned.phase.replay_share * taught / 3
    return round(each * tokens), each * flops


def feature_bytes(settings: GptSettings, speech: ExpectedSpeech, hours: float) -> int:
    """Of the features folder: conditioning in 16 bits, ids in 32, and the index."""
    conditioning = 2 * settings.model_dim * (settings.condition_num_latent + 1)
    tokens = 4 * sum(row.text_tokens + row.code_tokens for row in speech.utterances) / len(speech.utterances)
    return round(speech.count(hours) * (conditioning + tokens + INDEX_LINE_BYTES))
