"""The device that is measured, its name, and its memory."""

import json
import platform
import re
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from stages.core.errors import UserError
from stages.finetune.throughput import processor_name

BYTES_PER_MIB = 2**20


@dataclass(frozen=True)
class Machine:
    """Where a benchmark runs.

    Attributes:
        device: a CUDA device if there is one, else the CPU.
        name: of the processor or GPU.
    """

    device: torch.device
    name: str

    @property
    def is_cuda(self) -> bool:
        return self.device.type == "cuda"

    @property
    def suffix(self) -> str:
        """What a result's file name ends with: nothing on a CPU, .nvidia-h200 and the like on a GPU."""
        return "." + re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-") if self.is_cuda else ""

    def describe(self) -> dict[str, Any]:
        """What a reader needs to weigh the figures."""
        vectors = {} if self.is_cuda else {"vectors": torch.backends.cpu.get_cpu_capability()}
        return {"device": self.name, **vectors, "threads": torch.get_num_threads(), "torch": torch.__version__,
                "python": platform.python_version()}

    def synchronise(self) -> None:
        """Wait until the device has done what was asked."""
        if self.is_cuda:
            torch.cuda.synchronize(self.device)


def this_machine() -> Machine:
    """The device that training would take."""
    if torch.cuda.is_available():
        return Machine(torch.device("cuda"), torch.cuda.get_device_name())
    return this_processor()


def this_processor() -> Machine:
    """The CPU, whether there is a GPU or not."""
    return Machine(torch.device("cpu"), processor_name())


class PeakMemory:
    """Most memory held since it was made, over what was held then.

    On CUDA: torch.cuda.max_memory_allocated less memory_allocated at the start. On a CPU: the peak resident set of
    this process (VmHWM, reset at the start where the kernel lets it) less the resident set at the start; pages that
    the allocator keeps after a free count, libraries that were imported before do not.
    """

    def __init__(self, machine: Machine):
        self.machine = machine
        if machine.is_cuda:
            torch.cuda.reset_peak_memory_stats(machine.device)
            self.before = torch.cuda.memory_allocated(machine.device)
        else:
            with suppress(OSError):
                Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
            self.before = _status_bytes("VmRSS")

    def mib(self) -> float:
        cuda = self.machine.is_cuda
        peak = torch.cuda.max_memory_allocated(self.machine.device) if cuda else _status_bytes("VmHWM")
        return round((peak - self.before) / BYTES_PER_MIB, 1)


def _status_bytes(field: str) -> int:
    """A field of /proc/self/status, which counts in kB."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise UserError(f"/proc/self/status: no field {field}; memory is measured on Linux only")


def run_in_child(module: str, case: dict[str, Any]) -> dict[str, Any]:
    """Run `python -m module CASE` in a process of its own and read the JSON object it prints last.

    Raises:
        UserError: it failed; with the end of what it said.
    """
    command = [sys.executable, "-W", "ignore", "-m", module, json.dumps(case)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"{module} {json.dumps(case)}: exit {done.returncode}\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])
