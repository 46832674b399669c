"""What a phase asks of memory, in the terms of the memory model."""

from collections import Counter
from collections.abc import Iterable
from math import ceil
from typing import Protocol

import torch

from stages.core.model.settings import GptSettings
from stages.core.params.shared import MachineConfig
from stages.core.training.flops import FRAME_TOKENS
from stages.core.training.memory import Adapters, Pass, Training
from stages.finetune.config import Phase
from stages.finetune.trainee import Trainee


class Lengths(Protocol):
    """Tokens of one utterance."""

    @property
    def text_tokens(self) -> int: ...

    @property
    def code_tokens(self) -> int: ...


def training_of(
    trainee: Trainee, phase: Phase, machine: MachineConfig, dtype: torch.dtype, on_gpu: bool, processes: int,
    teacher_parameters: int = 0,
) -> Training:
    """What of a phase decides its memory a process; the model may lie on the meta device.

    Args:
        processes: that train together.
        teacher_parameters: of the base, where it teaches the replay rows.
    """
    shared = processes > 1 and machine.parallelism == "fsdp"
    micro_batches = -(-rows_a_process(phase, processes) // rows_a_pass(phase, machine, processes))
    return Training(
        settings=trainee.model.settings,
        held=sum(value.numel() for value in trainee.model.parameters()), teacher=teacher_parameters,
        trained=sum(value.numel() for value in trainee.parameters().values()),
        adapters=adapters_of(trainee), dropout=phase.dropout, dtype=dtype, on_gpu=on_gpu,
        checkpointing=machine.activation_checkpointing, shards=processes if shared else 1,
        accumulates=micro_batches > 1 or (processes > 1 and not shared),
    )


def adapters_of(trainee: Trainee) -> Adapters | None:
    """Which kinds of modules have an adapter, in how many layers."""
    if trainee.adapter is None:
        return None
    config = trainee.adapter.peft_config["default"]
    wrapped = (name.removesuffix(".base_layer") for name, _ in trainee.model.named_modules()
               if name.startswith("gpt.h.") and name.endswith(".base_layer"))
    kinds = Counter(name.split(".", 3)[-1] for name in wrapped)
    return Adapters(config.r, config.lora_dropout, dict(kinds))


def rows_a_process(phase: Phase, processes: int) -> int:
    """Utterances of a step that one process computes."""
    return -(-phase.batch_utterances // processes)


def rows_a_pass(phase: Phase, machine: MachineConfig, processes: int) -> int:
    """Utterances of the largest forward pass of a process."""
    rows = rows_a_process(phase, processes)
    return min(rows, machine.micro_batch_utterances or rows)


def widest_pass(settings: GptSettings, rows: int, utterances: Iterable[Lengths], taught_share: float = 0.0) -> Pass:
    """A forward pass of `rows` utterances as long as the longest, a share of which a teacher looks at."""
    longest = max(utterances, key=lambda row: row.text_tokens + row.code_tokens)
    positions = settings.condition_num_latent + FRAME_TOKENS + longest.text_tokens + longest.code_tokens
    codes = longest.code_tokens + 1
    return Pass(rows * positions, rows * (longest.text_tokens + 1), rows * codes, ceil(rows * taught_share) * codes)


def taught_share(phase: Phase) -> float:
    """Share of the rows that a teacher looks at."""
    return phase.replay_share if phase.replay_kl_weight > 0 else 0.0
