"""What a run must remember, and how it is taken from and put back into parameters and optimiser."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from stages.core.training.parallel import copy_whole, whole

ADAM_SLOTS = ("exp_avg", "exp_avg_sq")


@dataclass
class LoopState:
    """Where a run stands; all of it is saved.

    Attributes:
        step: batches met, skipped ones included; epoch and place in it follow.
        tokens_seen: supervised tokens so far.
        curve: one row of figures a log point; nothing in it depends on the clock.
        window: sums of the figures since the last log point, and their number as `steps`.
        validated_at: step of the last validation.
        best_step, best_value: of the best validation so far.
        patience_used: validations since then.
        skipped: step, reason and utterances of every skipped step.
        run_id: of the tracking run that the curve goes to.
    """

    step: int = 0
    tokens_seen: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)
    window: dict[str, float] = field(default_factory=dict)
    validated_at: int = -1
    best_step: int = -1
    best_value: float | None = None
    patience_used: int = 0
    skipped: list[dict[str, Any]] = field(default_factory=list)
    run_id: str | None = None

    def count(self, figures: Mapping[str, float]) -> None:
        """Add the figures of one step to the window."""
        self.tokens_seen += int(figures["tokens"])
        for name, value in {**figures, "steps": 1}.items():
            self.window[name] = self.window.get(name, 0) + value

    def close_window(self) -> dict[str, float]:
        """Mean figures a step since the last log point."""
        steps = self.window["steps"]
        means = {name: value / steps for name, value in self.window.items() if name not in ("steps", "tokens")}
        self.window = {}
        return means


def gather(parameters: Mapping[str, nn.Parameter], optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Parameters and Adam's state by name, whole; all processes must call this together."""
    tensors = {}
    for name, value in parameters.items():
        tensors[f"parameter/{name}"] = whole(value)
        for key, slot in optimiser.state.get(value, {}).items():
            tensors[f"{key}/{name}"] = whole(slot)
    return tensors


def scatter(
    tensors: Mapping[str, Tensor], parameters: Mapping[str, nn.Parameter], optimiser: torch.optim.Optimizer
) -> None:
    """Put back what `gather` took, laid out as the parameters are now."""
    with torch.no_grad():
        for name, value in parameters.items():
            copy_whole(value, tensors[f"parameter/{name}"])
            if f"step/{name}" not in tensors:
                continue
            slots = {key: torch.zeros_like(value) for key in ADAM_SLOTS}
            for key, slot in slots.items():
                copy_whole(slot, tensors[f"{key}/{name}"])
            optimiser.state[value] = {"step": tensors[f"step/{name}"].to(value.device), **slots}
