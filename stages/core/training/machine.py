"""What the section `machine` asks for: the dtype of matrix products, and what saves memory or time in the model."""

import time
from functools import partial

import torch
from torch.utils.checkpoint import checkpoint

from stages.core.model.unified_voice import UnifiedVoice
from stages.core.params.shared import MachineConfig

PROBE_WIDTH, PROBE_REPEATS = 512, 5


def choose_precision(wanted: str, device: torch.device) -> torch.dtype:
    """The dtype of matrix products; parameters and optimiser state are float32 in any case.

    `auto` measures: bfloat16 support says little about speed (without matrix units it is several times slower).
    """
    if wanted != "auto":
        return torch.bfloat16 if wanted == "bfloat16" else torch.float32
    return torch.bfloat16 if _seconds(torch.bfloat16, device) < 0.8 * _seconds(torch.float32, device) else torch.float32


def _seconds(dtype: torch.dtype, device: torch.device) -> float:
    """Best time of one square matrix product."""
    matrix = torch.ones(PROBE_WIDTH, PROBE_WIDTH, dtype=dtype, device=device)
    times = []
    for _ in range(PROBE_REPEATS):
        started = time.perf_counter()
        matrix @ matrix
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return min(times)


def adapt_model(model: UnifiedVoice, machine: MachineConfig) -> None:
    """Turn on what the section asks for, block by block, in place; names of parameters stay."""
    for block in model.gpt.h:
        if machine.activation_checkpointing:
            block.forward = partial(checkpoint, block.forward, use_reentrant=False)
        if machine.compile:
            block.compile(dynamic=True)
