"""What LoRA trains at the released shape, counted on modules without memory (torch's meta device)."""

from typing import Any

import torch

from benchmarks.device import Machine
from benchmarks.memory_case import ALPHA, RANK, TARGETS
from benchmarks.shapes import RELEASED_NEW_PIECES, released_settings
from stages.core.model.conditioning import Conditioner
from stages.core.model.unified_voice import UnifiedVoice
from stages.core.training.lora import add_lora


def measure(machine: Machine) -> dict[str, Any]:
    """Parameters of the released model, of the adapters at rank 16 and of 8,000 new rows, and their shares."""
    base = released_settings()
    with torch.device("meta"):
        model = UnifiedVoice(base)
        trained = count(model)
        whole = trained + count(Conditioner(base))
        add_lora(model, RANK, ALPHA, 0.0, TARGETS)
    adapters = sum(value.numel() for name, value in model.named_parameters() if ".lora_" in name)
    new_rows = RELEASED_NEW_PIECES * (2 * base.model_dim + 1)
    return {
        "model_parameters": whole, "full_trains": trained, "rank": RANK, "targets": list(TARGETS),
        "lora_trains": adapters, "lora_percent_of_model": round(100 * adapters / whole, 2),
        "new_pieces": RELEASED_NEW_PIECES, "new_rows_train": new_rows,
        "lora_and_new_rows_percent_of_model": round(100 * (adapters + new_rows) / (whole + new_rows), 2),
    }


def count(module: torch.nn.Module) -> int:
    """Number of parameters."""
    return sum(value.numel() for value in module.parameters())
