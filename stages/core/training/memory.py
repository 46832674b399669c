"""How much memory a training step needs, said before the run and when it runs out; and what was used."""

import resource
from dataclasses import dataclass

import torch

from stages.core.model.settings import GptSettings

GIB = 2**30
PARAMETER_BYTES, GRADIENT_BYTES, ADAM_BYTES = 4, 4, 8
ACTIVATION_BYTES_16_BIT = 34  # a position, layer and unit of width: Korthikanti et al., 2022, without attention scores


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes of weights, of gradients and optimiser state, and of the activations of one forward pass."""

    weights: float
    optimiser: float
    activations: float

    @property
    def total(self) -> float:
        return self.weights + self.optimiser + self.activations

    def __str__(self) -> str:
        parts = [f"{name} {value / GIB:.2f}" for name, value in vars(self).items()]
        return f"{self.total / GIB:.2f} GiB ({', '.join(parts)})"


def estimate_memory(
    settings: GptSettings, total: int, trained: int, positions: int, dtype: torch.dtype, checkpointing: bool
) -> MemoryEstimate:
    """Estimate from counts.

    Args:
        total, trained: parameters held, and those with a gradient.
        positions: rows times length of the largest forward pass, padding included.
    """
    unit = 2 if dtype == torch.bfloat16 else 4
    layer = positions * settings.model_dim * ACTIVATION_BYTES_16_BIT * unit / 2
    kept = layer + settings.layers * positions * settings.model_dim * unit if checkpointing else settings.layers * layer
    return MemoryEstimate(total * PARAMETER_BYTES, trained * (GRADIENT_BYTES + ADAM_BYTES), kept)


def peak_memory_gib(device: torch.device) -> float:
    """Most memory held so far: on the device, or by this process where the device is the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / GIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error of torch says that memory ran out, on a GPU or on the CPU."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
