"""The training loop: step, validate, choose, save. A killed run continues from its last saved step to the same bytes.

The loop knows no model. Its task turns the data of a step into gradients; what a step computes depends only on its
number and the state, since every step seeds the random generators anew.
"""

import math
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import nn

from stages.core.errors import Diverged, Interrupted, UserError, one_line
from stages.core.training.interruption import Interruption
from stages.core.training.memory import is_out_of_memory
from stages.core.training.parallel import Processes, copy_whole, whole
from stages.core.training.resume import ResumeStore
from stages.core.training.schedule import learning_rate_at
from stages.core.training.state import LoopState, gather, scatter

Figures = dict[str, float]
Report = Callable[[Figures, Figures], None]


class Task(Protocol):
    """What is trained, on what.

    Attributes:
        steps_per_epoch: the same for every epoch.
    """

    steps_per_epoch: int

    @property
    def parameters(self) -> Mapping[str, nn.Parameter]:
        """What is trained, by name."""

    def steps(self, epoch: int, first: int) -> Iterable[Any]:
        """The data of each step of an epoch, from step `first` of it; the same on every call."""

    def backward(self, data: Any) -> Figures:
        """Leave the gradients of one step; the figures, of all processes, must hold `loss` and `tokens`."""

    def utterances(self, data: Any) -> list[str]:
        """What a step was made of, to name it in an error."""

    def memory_advice(self, data: Any) -> str:
        """What to say when memory runs out in a step."""

    def validate(self, stopping: Callable[[], bool]) -> Figures | None:
        """Figures on held-out rows, empty without such rows; None as soon as `stopping` says so."""


@dataclass(frozen=True)
class LoopSettings:
    """Length, rate and rhythm of a run; the fields are those of the params sections.

    Attributes:
        clip_norm, gradient_norm_max: a larger gradient is scaled down to the one, and skipped above the other.
        skipped_steps_max: more skipped steps than this end the run.
        validate_every_steps: besides step 0 and the end of each epoch; 0 for none.
        metric, lower_is_better: what decides which weights are best.
        patience_validations: end after so many validations without a better one; 0 for never.
        hand_on: `best` or `last` weights.
        steps_max: end after so many steps if the epochs have more; the rate falls to zero there.
    """

    epochs: int
    learning_rate: float
    warmup_steps: int
    clip_norm: float
    gradient_norm_max: float
    skipped_steps_max: int
    log_every_steps: int
    validate_every_steps: int
    metric: str
    lower_is_better: bool
    patience_validations: int
    hand_on: str
    save_every_seconds: float
    save_every_steps: int
    seed: int
    steps_max: int | None = None


@dataclass
class Loop:
    """One training run of a task."""

    settings: LoopSettings
    task: Task
    optimiser: torch.optim.Optimizer
    store: ResumeStore
    processes: Processes
    state: LoopState = field(default_factory=LoopState)

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        steps = self.settings.epochs * self.task.steps_per_epoch
        return steps if self.settings.steps_max is None else min(steps, self.settings.steps_max)

    def run(self, report: Report) -> LoopState:
        """Train to the end, from the saved state if there is one; leave the weights that are handed on.

        `report` gets every row of the curve, those of the saved state first, and its timings beside it.

        Raises:
            Interrupted: a signal asked to stop; the state is saved.
            UserError: memory ran out.
            Diverged: too many steps had to be skipped.
        """
        self.report, self.interruption = report, Interruption()
        self._restore()
        self.clock, self.saved = _Clock(self.state), (time.monotonic(), self.state.step)
        with self.interruption.watch():
            self._validate_when_due()
            while not self._is_over():
                for data in self.task.steps(*divmod(self.state.step, self.task.steps_per_epoch)):
                    self._step(data)
                    self._log_when_due()
                    self._validate_when_due()
                    self._save_when_due()
                    if self._is_over():
                        break
            if self.saved[1] != self.state.step:
                self._save()
        self._take_best()
        return self.state

    def _is_over(self) -> bool:
        patience = self.settings.patience_validations
        return self.state.step >= self.total_steps or 0 < patience <= self.state.patience_used

    def _step(self, data: Any) -> None:
        try:
            self._update(data)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise UserError(self.task.memory_advice(data)) from error
            raise

    def _update(self, data: Any) -> None:
        """One optimiser step, or a skipped one."""
        settings, state = self.settings, self.state
        rate = learning_rate_at(state.step, self.total_steps, settings.learning_rate, settings.warmup_steps)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        torch.manual_seed((settings.seed * 1_000_003 + state.step) * 4_099 + self.processes.rank)
        self.optimiser.zero_grad(set_to_none=True)
        figures = self.task.backward(data)
        norm = whole(nn.utils.clip_grad_norm_(self.task.parameters.values(), settings.clip_norm)).item()
        state.step += 1
        if not (math.isfinite(figures["loss"]) and norm <= settings.gradient_norm_max):
            self._skip(data, figures["loss"], norm)
            return
        self.optimiser.step()
        state.count({**figures, "learning_rate": rate, "gradient_norm": norm})

    def _skip(self, data: Any, loss: float, norm: float) -> None:
        """Count a step whose gradient must not be used."""
        utterances, limit = self.task.utterances(data), self.settings.skipped_steps_max
        reason = f"loss {loss:.4g}, gradient norm {norm:.4g} (gradient_norm_max {self.settings.gradient_norm_max:g})"
        self.state.skipped.append({"step": self.state.step, "reason": reason, "utterances": utterances})
        named = f"step {self.state.step}: {reason}; utterances {', '.join(map(one_line, utterances))}"
        if len(self.state.skipped) > limit:
            raise Diverged(f"more than skipped_steps_max = {limit} step(s) had to be skipped; the last is {named}")
        if self.processes.is_main:
            print(f"skipped {named}", flush=True)

    def _log_when_due(self) -> None:
        if self.state.step % self.settings.log_every_steps == 0 and self.state.window:
            self._add_point(self.state.close_window(), self.clock.timings(self.state, self.total_steps))

    def _validate_when_due(self) -> None:
        """Validate once at step 0, at the end of each epoch and of the run, and every `validate_every_steps`."""
        every, state = self.settings.validate_every_steps, self.state
        ended = state.step % self.task.steps_per_epoch == 0 or state.step == self.total_steps
        due = ended or (every and state.step % every == 0)
        if not due or state.validated_at == state.step:
            return
        figures = self.task.validate(lambda: self.processes.any_of(self.interruption.number > 0)[0])
        if figures is None:
            self._stop()
            return
        state.validated_at = state.step
        if figures:
            self._keep_if_best(figures[self.settings.metric])
            self._add_point(figures, {})

    def _keep_if_best(self, value: float) -> None:
        state, sign = self.state, 1 if self.settings.lower_is_better else -1
        better = state.best_value is None or sign * value < sign * state.best_value
        if not (better and math.isfinite(value)):
            state.patience_used += 1
            return
        state.best_step, state.best_value, state.patience_used = state.step, value, 0
        tensors = {name: whole(parameter) for name, parameter in self.task.parameters.items()}
        if self.processes.is_main and self.settings.hand_on == "best":
            self.store.save_best(tensors)

    def _take_best(self) -> None:
        """Put the best weights in place, if those are handed on and are not the last."""
        if self.settings.hand_on == "last" or self.state.best_step in (-1, self.state.step):
            return
        with torch.no_grad():
            for name, value in self.store.load_best().items():
                copy_whole(self.task.parameters[name], value)

    def _add_point(self, figures: Figures, timings: Figures) -> None:
        point = {"step": self.state.step, "tokens_seen": self.state.tokens_seen, **figures}
        self.state.curve.append(point)
        self.report(point, timings)

    def _save_when_due(self) -> None:
        seconds, steps = time.monotonic() - self.saved[0], self.state.step - self.saved[1]
        due = seconds >= self.settings.save_every_seconds or steps >= self.settings.save_every_steps
        stopping, due = self.processes.any_of(self.interruption.number > 0, due)
        if stopping:
            self._stop()
        if due:
            self._save()

    def _stop(self) -> None:
        self._save()
        raise Interrupted(self.interruption.number or signal.SIGTERM, self.state.step)

    def _save(self) -> None:
        tensors = gather(self.task.parameters, self.optimiser)
        if self.processes.is_main:
            self.store.save(tensors, vars(self.state))
        self.saved = (time.monotonic(), self.state.step)

    def _restore(self) -> None:
        saved = self.store.load()
        if saved is None:
            return
        scatter(saved[0], self.task.parameters, self.optimiser)
        self.state = LoopState(**{**saved[1], "run_id": self.state.run_id})
        for point in self.state.curve:
            self.report(point, {})


class _Clock:
    """Speed since the last log point, and the time left; nothing that is saved."""

    def __init__(self, state: LoopState):
        self.first_step, self.tokens = state.step, state.tokens_seen
        self.started = self.since = time.monotonic()

    def timings(self, state: LoopState, total_steps: int) -> Figures:
        now = time.monotonic()
        seconds_a_step = (now - self.started) / (state.step - self.first_step)
        timings = {
            "tokens_per_second": (state.tokens_seen - self.tokens) / (now - self.since),
            "eta_seconds": seconds_a_step * (total_steps - state.step),
        }
        self.tokens, self.since = state.tokens_seen, now
        return timings
