"""How fast a device trains: from the benchmark files of that very device, else assumed and said to be unmeasured."""

import os
import platform
from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import Any

import torch

from stages.core.artifacts.files import read_json
from stages.core.errors import UserError
from stages.core.training.flops import PEAK_BFLOAT16_FLOPS, peak_flops_of
from stages.core.training.memory import GIB

RESULTS, PATTERN = Path("benchmarks/results"), "training_memory*.json"
KEPT, RECOMPUTED = "activations kept", "activations recomputed"
ASSUMED_UTILISATION = 0.35  # of the bfloat16 peak; what dense GPT training commonly reaches on one GPU
ASSUMED_GPU = "A100"


@dataclass(frozen=True)
class Device:
    """What is planned for.

    Attributes:
        name: of the GPU or processor.
        is_gpu: else this machine's CPU.
        memory_gib: of one device.
        count: devices that train together.
        told: how the device was chosen.
    """

    name: str
    is_gpu: bool
    memory_gib: float
    count: int
    told: str

    @property
    def peak(self) -> float | None:
        """bfloat16 FLOPs a second from the data sheet; None where none is known."""
        return peak_flops_of(self.name) if self.is_gpu else None


@dataclass(frozen=True)
class Speed:
    """Model FLOPs a second of one device; None where nothing tells them."""

    flops_per_second: float | None
    measured: bool
    source: str


def choose_device(gpu: str | None, gpu_memory_gib: float | None, gpus: int | None) -> Device:
    """The GPU that the flags describe, else this machine's GPU, else its CPU.

    Raises:
        UserError: the flags do not say how much memory a GPU that is not here has.
    """
    asked = gpu is not None or gpu_memory_gib is not None or gpus is not None
    if gpu is not None and gpu not in PEAK_BFLOAT16_FLOPS:
        raise UserError(f"--gpu: must be one of {', '.join(PEAK_BFLOAT16_FLOPS)} (got {gpu!r})")
    if torch.cuda.is_available() and gpu is None:
        found = torch.cuda.get_device_properties(0)
        memory = gpu_memory_gib or found.total_memory / GIB
        return Device(found.name, True, memory, gpus or 1, "this machine's GPU")
    if not asked:
        ram = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIB
        return Device(processor_name(), False, ram, 1, "this machine's CPU; --gpu-memory plans for a GPU")
    if gpu_memory_gib is None:
        raise UserError("--gpu-memory: needed, no GPU is here to ask; the GiB of one GPU, such as 24")
    told = "from --gpu" if gpu else f"no GPU is here: an {ASSUMED_GPU}'s speed is assumed; --gpu names another"
    return Device(gpu or ASSUMED_GPU, True, gpu_memory_gib, gpus or 1, told)


def processor_name() -> str:
    """The CPU's model, or its architecture where the kernel does not name one; benchmark files bear it."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def speed_of(device: Device, approach: str, checkpointing: bool, parameters: int) -> Speed:
    """Speed of an approach on a device, from the measured case nearest in size.

    Args:
        parameters: of the model, to choose among measured shapes.
    """
    variant = RECOMPUTED if checkpointing else KEPT
    cases = [(abs(log(case["total"] / parameters)), path, case) for path, case in _cases(device)
             if case["approach"] == approach and case["variant"] == variant and case.get("flops_per_second")]
    if cases:
        _, path, case = min(cases, key=lambda found: found[0])
        return Speed(case["flops_per_second"], True, f"{case['flops_per_second'] / 1e12:.3g} TFLOP/s: measured on "
                     f"{device.name}, shape {case['shape']} ({case['total'] / 1e6:.3g} M parameters), batch "
                     f"{case['batch_utterances']}, {variant} ({path})")
    if device.peak is None:
        return Speed(None, False, f"unmeasured: no {RESULTS}/{PATTERN} of {device.name}, no peak known")
    passes = 3 if approach == "full" else 2
    utilisation = ASSUMED_UTILISATION * (passes / (passes + 1) if checkpointing else 1)
    return Speed(utilisation * device.peak, False, f"{utilisation * device.peak / 1e12:.3g} TFLOP/s: unmeasured, "
                 f"assumed {utilisation:.0%} of {device.name}'s {device.peak / 1e12:.0f} TFLOP/s in bfloat16")


def _cases(device: Device) -> list[tuple[Path, dict[str, Any]]]:
    """Measured cases of a device; those of a GPU that --gpu names by its short name too."""
    found = []
    for path in sorted(RESULTS.glob(PATTERN)):
        result = read_json(path)
        if device.name in result["machine"]["device"]:
            found += [(path, case) for group in result["approaches"] for case in group["cases"]]
    return found
