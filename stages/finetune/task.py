"""A phase as the training loop sees it: its rows, its loss, its validation."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from stages.core.model.unified_voice import UnifiedVoice
from stages.core.params.shared import MachineConfig
from stages.core.training.batching import collate
from stages.core.training.features import FeatureSet
from stages.core.training.memory import MemoryEstimate, Pass, estimate_memory
from stages.core.training.objective import Losses, Objective, validation_figures, weighted_loss
from stages.core.training.parallel import Processes, gradients_of_last_part
from stages.core.training.plan import EpochPlan
from stages.core.training.steps import Part, StepData, StepPlan, read_ahead
from stages.finetune.config import Config, Phase
from stages.finetune.memory_need import training_of
from stages.finetune.trainee import Trainee

VALIDATION_BATCH = 32


@dataclass
class FinetuneTask:
    """One phase of fine-tuning.

    Attributes:
        train: target rows and, for replay, rows of role `base`.
        validation: held-out rows by role.
        teacher: the untouched base, where the phase asks for its divergence.
        dtype: of matrix products.
    """

    trainee: Trainee
    train: FeatureSet
    validation: dict[str, FeatureSet]
    teacher: UnifiedVoice | None
    phase: Phase
    config: Config
    machine: MachineConfig
    processes: Processes
    dtype: torch.dtype
    wrapped: nn.Module = field(init=False)

    def __post_init__(self) -> None:
        self.wrapped = self.processes.wrap(Objective(self.trainee.model), self.machine.parallelism)
        self.parameters = self.trainee.parameters()
        self.plan = EpochPlan(self.train.utterances, self.phase.batch_utterances, self.phase.replay_share,
                              self.config.seed)
        self.steps_per_epoch = len(self.plan.batches(0))

    def steps(self, epoch: int, first: int) -> Iterable[StepData]:
        """The steps of an epoch, read ahead by worker processes."""
        plan = StepPlan(
            self.train, self.trainee.model.settings, self.plan.batches(epoch), f"{self.config.seed} {epoch}",
            self.processes.rank, self.processes.count, self.machine.micro_batch_utterances, self.teacher is not None,
        )
        return read_ahead(plan, first, self.machine.data_workers, self.processes.device.type == "cuda")

    def utterances(self, data: StepData) -> list[str]:
        return data.utterances

    def backward(self, data: StepData) -> dict[str, float]:
        """Gradients of the global batch; the sums of all processes in one exchange."""
        self.trainee.model.train()
        sums = torch.zeros(4, device=self.processes.device)
        for number, part in enumerate(data.parts, start=1):
            with gradients_of_last_part(self.wrapped, is_last=number == len(data.parts)):
                sums += self._backward_part(part.to(self.processes.device), data)
        self.trainee.keep_frozen_rows(self.parameters)
        return self._figures(self.processes.total(sums).tolist(), data)

    def _backward_part(self, part: Part, data: StepData) -> Tensor:
        """Backward of one micro-batch; loss, text sum, code sum, divergence sum [4]."""
        losses: Losses = self._forward(part)
        loss = weighted_loss(losses, self.config.text_loss_weight, self.config.code_loss_weight, data.text_tokens,
                             data.code_tokens)
        loss = loss + self.phase.replay_kl_weight * losses.divergence_sum / data.code_tokens
        (loss * self.processes.count).backward()
        return torch.stack([loss, losses.text_sum, losses.code_sum, losses.divergence_sum]).detach()

    def _forward(self, part: Part) -> Losses:
        with torch.autocast(self.processes.device.type, self.dtype, enabled=self.dtype != torch.float32):
            if self.teacher is None or part.teaching is None:
                return self.wrapped(part.batch)
            with torch.no_grad():
                _, states = self.teacher(part.teaching.rows)
                logits = self.teacher.mel_head(states)
            return self.wrapped(part.batch, (part.teaching.at, logits))

    def _figures(self, sums: list[float], data: StepData) -> dict[str, float]:
        loss, text, code, divergence = sums
        figures = {"tokens": data.text_tokens + data.code_tokens, "loss": loss,
                   "text_cross_entropy": text / data.text_tokens, "code_cross_entropy": code / data.code_tokens}
        if self.teacher is not None:
            figures["replay_divergence"] = divergence / max(1, data.replay_code_tokens)
        return figures

    @torch.no_grad()
    def validate(self, stopping: Callable[[], bool]) -> dict[str, float] | None:
        """Code cross-entropy (nats) and top-1 of the validation split, each row with its fixed prompt."""
        self.trainee.model.eval()
        figures: dict[str, float] = {}
        for role, rows in self.validation.items():
            parts = []
            for start in range(0, len(rows), VALIDATION_BATCH):
                if stopping():
                    return None
                chosen = [rows.row(index) for index in range(start, min(start + VALIDATION_BATCH, len(rows)))]
                batch = collate(chosen, self.trainee.model.settings).to(self.processes.device)
                parts.append(self._forward(Part(batch, None)))
            if parts:
                figures |= validation_figures(parts, "validation" if role == "target" else f"validation_{role}")
        return figures

    def memory_advice(self, data: StepData) -> str:
        """What ran out, what a step of this length needs, and which params lower it."""
        part = max(data.parts, key=lambda part: part.batch.layout.numel())
        largest = Pass(part.batch.layout.numel(), len(part.batch.text_targets), len(part.batch.code_targets),
                       len(part.teaching.at) if part.teaching else 0)
        return (
            f"out of memory on {self.processes.device} at a forward pass of {largest.positions:,} positions; estimated "
            f"need {self.estimate(largest)}. To lower it: machine.micro_batch_utterances (now "
            f"{self.machine.micro_batch_utterances}; same result), machine.activation_checkpointing (now "
            f"{self.machine.activation_checkpointing}), machine.precision, more machine.processes with parallelism "
            f"fsdp, or a shorter duration_seconds_max of the corpus; utterances {', '.join(data.utterances)}"
        )

    def estimate(self, largest: Pass) -> MemoryEstimate:
        """The memory of one process at the peak of a step with such a forward pass."""
        taught = sum(value.numel() for value in self.teacher.parameters()) if self.teacher else 0
        training = training_of(self.trainee, self.phase, self.machine, self.dtype,
                               self.processes.device.type == "cuda", self.processes.count, taught)
        return estimate_memory(training, largest)
