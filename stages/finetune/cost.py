"""What a run cost on this machine, and what it was made from; kept apart from the phase's folder, where nothing depends
on the clock or on a commit: the same weights stay the same for whatever reads them.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from stages.core.params.strict import PARAMS_FILE
from stages.core.tracking.provenance import data_hashes, git_commit
from stages.core.training.memory import peak_memory_gib
from stages.core.training.parallel import Processes
from stages.core.training.resume import ResumeStore
from stages.core.training.state import LoopState
from stages.finetune.command_line import CHECKPOINTS, Job


class CostMeter:
    """Starts before the model is built, so that what the process held before can be told from what training needs."""

    def __init__(self, processes: Processes, store: ResumeStore):
        self.processes, self.device = processes, processes.device
        self.before_gib = peak_memory_gib(self.device)
        saved = store.peek()
        self.tokens_before = int(saved["tokens_seen"]) if saved else 0
        self.seconds, self.commit = 0.0, git_commit()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Measure the training loop, its validations included."""
        started = time.monotonic()
        yield
        self.seconds = time.monotonic() - started

    def told(self, job: Job, state: LoopState) -> dict[str, Any]:
        """Figures of this process; a resumed one measured the rest of the tokens only, and may have met none.

        `made_from` has DVC's hash of each input, of a phase of the schedule only.
        """
        tokens = state.tokens_seen - self.tokens_before
        peak = peak_memory_gib(self.device)
        return {
            "resumed": self.tokens_before > 0, "tokens": tokens, "seconds": round(self.seconds, 3),
            "tokens_per_second": round(tokens / self.seconds, 1) if tokens else None,
            "peak_memory_gib": round(peak, 4), "training_memory_gib": round(peak - self.before_gib, 4),
            "device": name_device(self.device), "processes": self.processes.count,
            "threads": torch.get_num_threads(), "torch": torch.__version__,
            "git_commit": self.commit, "made_from": inputs_of(job),
        }


def name_device(device: torch.device) -> str:
    """`cpu`, or the accelerator's own name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def inputs_of(job: Job) -> dict[str, str]:
    """DVC's hashes of what the phase reads; none where flags made it another run than the schedule's."""
    if job.output != CHECKPOINTS / job.name or job.params_file != PARAMS_FILE:
        return {}
    return data_hashes()
