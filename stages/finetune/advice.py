"""Which strategy so much speech asks for, and which param lets a plan fit that does not."""

from collections.abc import Callable, Iterator
from typing import Any

from stages.core.params.shared import MachineConfig
from stages.finetune.throughput import Device

SHARED_BETWEEN = (2, 4, 8)
Need = Callable[[MachineConfig, int], float]


def advise(hours: float) -> tuple[str, str]:
    """Strategy for so many hours of target speech, and why; the bounds are the field's custom, not measured here."""
    if hours < 10:
        return "lora", "less than 10 h: LoRA alone, and more speech before anything else"
    if hours < 50:
        return "lora", "10-50 h: LoRA; all parameters would learn so few speakers by heart"
    if hours < 100:
        return "hybrid", "50-100 h: hybrid; fall back to LoRA alone if validation rises in the full phase"
    return "hybrid", "100 h or more: hybrid, or full alone at equal tokens; compare both"


def remedies(need: Need, machine: MachineConfig, rows: int, device: Device) -> list[str]:
    """Changes of the params, each of which alone makes the plan fit; joint ones where no single one does.

    Args:
        need: GiB a device must have under some machine section and number of processes.
        rows: utterances of the largest forward pass now.
    """
    for candidates in (_single_changes(machine, rows, device), _joint_changes(machine, rows), _shared(device)):
        fitting: dict[tuple[str, ...], str] = {}
        for changes, count in candidates:
            if need(machine.model_copy(update=changes), count) <= device.memory_gib:
                fitting.setdefault(tuple(changes), _told(changes, count, device.count))
        if fitting:
            return list(fitting.values())
    return []


def _single_changes(machine: MachineConfig, rows: int, device: Device) -> Iterator[tuple[dict[str, Any], int]]:
    """One param at a time; larger micro-batches first, since they are faster."""
    for smaller in _halvings(rows):
        yield {"micro_batch_utterances": smaller}, machine.processes
    if machine.precision == "float32" and device.is_gpu:
        yield {"precision": "bfloat16"}, machine.processes
    if not machine.activation_checkpointing:
        yield {"activation_checkpointing": True}, machine.processes


def _joint_changes(machine: MachineConfig, rows: int) -> Iterator[tuple[dict[str, Any], int]]:
    for smaller in _halvings(rows):
        yield {"activation_checkpointing": True, "micro_batch_utterances": smaller}, machine.processes


def _shared(device: Device) -> Iterator[tuple[dict[str, Any], int]]:
    """Weights shared between more GPUs, all else as small as it can be."""
    for count in SHARED_BETWEEN if device.is_gpu else ():
        if count >= device.count:
            yield {"processes": count, "parallelism": "fsdp", "activation_checkpointing": True,
                   "micro_batch_utterances": 1}, count


def _halvings(rows: int) -> Iterator[int]:
    while rows > 1:
        rows = (rows + 1) // 2
        yield rows


def _told(changes: dict[str, Any], count: int, gpus: int) -> str:
    said = " and ".join(f"machine.{name}: {str(value).lower()}" for name, value in changes.items())
    return said + (f" (--gpus {count})" if count != gpus else "")
