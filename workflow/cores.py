"""What a rule may ask for: this machine's cores, and a cluster's GPUs."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")
GPU_DEVICES = Path("/proc/driver/nvidia/gpus")


def has_gpu() -> bool:
    """Tell whether this machine has a GPU, without loading what would compute on it."""
    return GPU_DEVICES.is_dir() and any(GPU_DEVICES.iterdir())


def usable_cores() -> int:
    """Count physical cores, less where an affinity mask or a container's quota allows fewer."""
    limits = [len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1]
    physical = psutil.cpu_count(logical=False)
    if physical:
        limits.append(physical)
    try:
        quota, period = CGROUP_QUOTA.read_text(encoding="ascii").split()
        if quota != "max":
            limits.append(int(quota) // int(period))
    except (OSError, ValueError):
        pass
    return max(1, min(limits))


def training_gpus(params: Mapping[str, Any]) -> int:
    """Count the GPUs that a training asks a cluster for: one for each of its processes."""
    return int(params.get("machine", {}).get("processes", 1))
