"""The training loop: clip, step, log, save; a killed run continues from its last saved step to the same bytes.

The loop knows no model: `loss_of` turns the row indices of a batch into a loss and its figures.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from stages.core.training.resume import ResumeStore
from stages.core.training.schedule import learning_rate_at

ADAM_SLOTS = ("step", "exp_avg", "exp_avg_sq")
LossOf = Callable[[Sequence[int]], tuple[Tensor, dict[str, float]]]
Report = Callable[[dict[str, float], dict[str, float]], None]


@dataclass(frozen=True)
class LoopSettings:
    """Length, rate and rhythm of a run.

    Attributes:
        epochs: passes over the rows.
        learning_rate, warmup_steps: peak and length of the linear rise; a cosine falls to 0 at the last step.
        clip_norm: largest gradient norm.
        log_every_steps, save_every_seconds: rhythm.
        seed: of shuffling and dropout.
    """

    epochs: int
    learning_rate: float
    warmup_steps: int
    clip_norm: float
    log_every_steps: int
    save_every_seconds: float
    seed: int


@dataclass
class LoopState:
    """Where a run stands; all of it is saved.

    Attributes:
        step: optimiser steps taken.
        epoch, batch: the next batch's place.
        tokens_seen: supervised tokens so far.
        curve: one row of figures a log point; nothing in it depends on the clock.
        window: sums of the figures since the last log point, and their number as `steps`.
        run_id: of the tracking run that the curve goes to.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    tokens_seen: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)
    window: dict[str, float] = field(default_factory=dict)
    run_id: str | None = None


@dataclass
class Loop:
    """One training run.

    Attributes:
        parameters: what is trained, by name.
        optimiser: over the same parameters.
        epoch_batches: the row indices of every batch of an epoch, from its number; the same on every call.
        loss_of: differentiable loss and figures of a batch; the figures must hold `tokens`.
        validate: figures on held-out rows, at step 0 and after each epoch; or None.
        store: where the state is saved.
    """

    settings: LoopSettings
    parameters: Mapping[str, torch.nn.Parameter]
    optimiser: torch.optim.Optimizer
    epoch_batches: Callable[[int], list[list[int]]]
    loss_of: LossOf
    validate: Callable[[], dict[str, float]] | None
    store: ResumeStore
    state: LoopState = field(default_factory=LoopState)

    def run(self, report: Report) -> LoopState:
        """Train to the end, from the saved state if there is one.

        `report` gets every row of the curve, those of the saved state first, and its timings beside it.
        """
        self._restore(report)
        total_steps = self.settings.epochs * len(self.epoch_batches(0))
        clock = _Clock(total_steps, self.state)
        if self.state.step == 0:
            self._add_point(self._validation(), report)
        while self.state.epoch < self.settings.epochs:
            batches = self.epoch_batches(self.state.epoch)
            while self.state.batch < len(batches):
                self._step(batches[self.state.batch], total_steps)
                if self.state.step % self.settings.log_every_steps == 0:
                    self._add_point(self._close_window(), report, clock.timings(self.state))
                self.store.save_when_due(self._snapshot, self.settings.save_every_seconds)
            self.state.epoch, self.state.batch = self.state.epoch + 1, 0
            self._add_point(self._validation(), report)
        self.store.save(*self._snapshot())
        return self.state

    def _step(self, rows: Sequence[int], total_steps: int) -> None:
        rate = learning_rate_at(self.state.step, total_steps, self.settings.learning_rate, self.settings.warmup_steps)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        loss, figures = self.loss_of(rows)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(
            self.parameters.values(), self.settings.clip_norm, error_if_nonfinite=True
        )
        self.optimiser.step()
        self.state.step += 1
        self.state.batch += 1
        self.state.tokens_seen += int(figures["tokens"])
        figures = {**figures, "loss": loss.item(), "learning_rate": rate, "gradient_norm": norm.item(), "steps": 1}
        for name, value in figures.items():
            self.state.window[name] = self.state.window.get(name, 0) + value

    def _close_window(self) -> dict[str, float]:
        """Mean figures a step since the last log point."""
        steps = self.state.window["steps"]
        means = {name: value / steps for name, value in self.state.window.items() if name not in ("steps", "tokens")}
        self.state.window = {}
        return means

    def _validation(self) -> dict[str, float]:
        return self.validate() if self.validate else {}

    def _add_point(self, figures: dict[str, float], report: Report, timings: dict[str, float] | None = None) -> None:
        if figures:
            point = {"step": self.state.step, "tokens_seen": self.state.tokens_seen, **figures}
            self.state.curve.append(point)
            report(point, timings or {})

    def _snapshot(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors = {f"parameter/{name}": value.detach() for name, value in self.parameters.items()}
        for name, value in self.parameters.items():
            for key, slot in self.optimiser.state.get(value, {}).items():
                tensors[f"{key}/{name}"] = slot
        tensors["rng"] = torch.get_rng_state()
        return tensors, vars(self.state)

    def _restore(self, report: Report) -> None:
        torch.manual_seed(self.settings.seed)
        saved = self.store.load()
        if saved is None:
            return
        tensors, state = saved
        with torch.no_grad():
            for name, value in self.parameters.items():
                value.copy_(tensors[f"parameter/{name}"])
                slots = {key: tensors[f"{key}/{name}"].to(value.device) for key in ADAM_SLOTS
                         if f"{key}/{name}" in tensors}
                if slots:
                    self.optimiser.state[value] = slots
        torch.set_rng_state(tensors["rng"])
        self.state = LoopState(**{**state, "run_id": self.state.run_id})
        for point in self.state.curve:
            report(point, {})


class _Clock:
    """Speed between two log points, and the time left; nothing that is saved."""

    def __init__(self, total_steps: int, state: LoopState):
        self.total_steps, self.first_step, self.tokens = total_steps, state.step, state.tokens_seen
        self.started = self.since = time.monotonic()

    def timings(self, state: LoopState) -> dict[str, float]:
        now = time.monotonic()
        seconds_a_step = (now - self.started) / (state.step - self.first_step)
        timings = {
            "tokens_per_second": (state.tokens_seen - self.tokens) / (now - self.since),
            "eta_seconds": seconds_a_step * (self.total_steps - state.step),
        }
        self.tokens, self.since = state.tokens_seen, now
        return timings
