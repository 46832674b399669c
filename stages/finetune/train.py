"""One phase: which parameters, which rows, which loss."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from peft import PeftModel
from torch import Tensor, nn

from stages.core.model.unified_voice import UnifiedVoice
from stages.core.training.batching import collate, length_bucketed
from stages.core.training.features import FeatureSet, Utterance
from stages.core.training.loop import Loop, LoopSettings, LoopState
from stages.core.training.lora import add_lora, freeze_base_rows, is_text_table, merge
from stages.core.training.objective import compute_losses, validation_figures, weighted_loss
from stages.core.training.optimiser import build_optimiser
from stages.core.training.resume import ResumeStore
from stages.finetune.config import Config, Phase

VALIDATION_BATCH = 32


@dataclass
class Trainee:
    """The model of a phase, its adapter where it is LoRA, and how many text rows it then leaves as they are."""

    model: UnifiedVoice
    adapter: PeftModel | None
    frozen_rows: int = 0

    def parameters(self) -> dict[str, nn.Parameter]:
        """What is trained, by name."""
        return {name: value for name, value in self.model.named_parameters() if value.requires_grad}

    def counts(self) -> dict[str, float]:
        """Parameters that change and parameters in all, counted; a frozen row of a text table does not change."""
        plain = {name: value for name, value in self.model.named_parameters() if "original_module" not in name}
        total = sum(value.numel() for name, value in plain.items() if "lora_" not in name)
        trained = sum(
            value.numel() * (len(value) - self.frozen_rows) // len(value) if is_text_table(name) else value.numel()
            for name, value in self.parameters().items()
        )
        return {"trained": trained, "total": total, "trained_percent": round(100 * trained / total, 3)}

    def merged(self) -> dict[str, Tensor]:
        """The phase's weights under the model's own names."""
        return merge(self.adapter) if self.adapter else dict(self.model.state_dict())


def prepare_model(model: UnifiedVoice, phase: Phase, base_rows: int) -> Trainee:
    """Choose what is trained: adapters and the text rows from `base_rows` on, or everything."""
    if phase.lora is None:
        return Trainee(model, None)
    lora = phase.lora
    adapter = add_lora(model, lora.rank, lora.alpha, lora.dropout, lora.targets)
    freeze_base_rows(model, base_rows)
    return Trainee(model, adapter, base_rows)


def is_training(utterance: Utterance) -> bool:
    return utterance.role == "target" and utterance.split == "train"


def is_validation(utterance: Utterance) -> bool:
    return utterance.role == "target" and utterance.split == "validation"


def build_loop(
    trainee: Trainee, train: FeatureSet, validation: FeatureSet, phase: Phase, config: Config, store: ResumeStore,
    run_id: str | None, device: torch.device,
) -> Loop:
    """Tie model, rows and objective to the training loop."""
    parameters = trainee.parameters()
    lengths = [row.text_tokens + row.code_tokens for row in train.utterances]
    settings = trainee.model.settings

    def epoch_batches(epoch: int) -> list[list[int]]:
        generator = torch.Generator().manual_seed(config.seed * 100_003 + epoch)
        return length_bucketed(lengths, phase.batch_utterances, generator)

    def loss_of(indices: Sequence[int]) -> tuple[Tensor, dict[str, float]]:
        trainee.model.train()
        rows = [train.row_with_random_prompt(index) for index in indices]
        losses = compute_losses(trainee.model, collate(rows, settings).to(device))
        loss = weighted_loss(losses, config.text_loss_weight, config.code_loss_weight,
                             losses.text_tokens, losses.code_tokens)
        return loss, {
            "tokens": losses.text_tokens + losses.code_tokens,
            "text_cross_entropy": losses.text_sum.item() / losses.text_tokens,
            "code_cross_entropy": losses.code_sum.item() / losses.code_tokens,
        }

    return Loop(
        LoopSettings(phase.epochs, phase.learning_rate, phase.warmup_steps, phase.clip_norm,
                     config.log_every_steps, config.save_every_seconds, config.seed),
        parameters, build_optimiser(parameters, phase.weight_decay), epoch_batches, loss_of,
        (lambda: validate(trainee.model, validation, device)) if len(validation) else None,
        store, LoopState(run_id=run_id),
    )


@torch.no_grad()
def validate(model: UnifiedVoice, rows: FeatureSet, device: torch.device) -> dict[str, float]:
    """Code cross-entropy (nats) and top-1 of the validation split, each row with its fixed prompt."""
    model.eval()
    parts = []
    for start in range(0, len(rows), VALIDATION_BATCH):
        batch = [rows.row(index) for index in range(start, min(start + VALIDATION_BATCH, len(rows)))]
        parts.append(compute_losses(model, collate(batch, model.settings).to(device)))
    return validation_figures(parts)
