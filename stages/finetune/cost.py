"""What a run cost on this machine; kept apart from the phase's folder, where nothing depends on the clock."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from stages.core.training.memory import peak_memory_gib
from stages.core.training.resume import ResumeStore
from stages.core.training.state import LoopState


class CostMeter:
    """Starts before the model is built, so that what the process held before can be told from what training needs."""

    def __init__(self, device: torch.device, store: ResumeStore):
        self.device, self.before_gib = device, peak_memory_gib(device)
        saved = store.peek()
        self.tokens_before = int(saved["tokens_seen"]) if saved else 0
        self.seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Measure the training loop, its validations included."""
        started = time.monotonic()
        yield
        self.seconds = time.monotonic() - started

    def told(self, state: LoopState) -> dict[str, Any]:
        """Figures of this process; a resumed one measured the rest of the tokens only, and may have met none."""
        tokens = state.tokens_seen - self.tokens_before
        peak = peak_memory_gib(self.device)
        return {
            "resumed": self.tokens_before > 0, "tokens": tokens, "seconds": round(self.seconds, 3),
            "tokens_per_second": round(tokens / self.seconds, 1) if tokens else None,
            "peak_memory_gib": round(peak, 4), "training_memory_gib": round(peak - self.before_gib, 4),
            "device": self.device.type, "threads": torch.get_num_threads(),
        }
