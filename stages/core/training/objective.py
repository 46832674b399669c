"""The training objective: next-token cross-entropy of text and of codes, each averaged over the global batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from stages.core.model.unified_voice import Batch, UnifiedVoice


@dataclass(frozen=True)
class Losses:
    """Sums over supervised tokens, and their counts.

    Attributes:
        text_sum, code_sum: summed cross-entropy in nats, differentiable scalars.
        text_tokens, code_tokens: supervised tokens.
        code_hits: codes whose most likely prediction is the target.
    """

    text_sum: Tensor
    code_sum: Tensor
    text_tokens: int
    code_tokens: int
    code_hits: int


def compute_losses(model: UnifiedVoice, batch: Batch) -> Losses:
    """Forward one batch; logits are computed at supervised positions only."""
    text_states, code_states = model(batch)
    text_logits, code_logits = model.text_head(text_states), model.mel_head(code_states)
    with torch.no_grad():
        hits = int((code_logits.argmax(dim=-1) == batch.code_targets).sum())
    return Losses(
        functional.cross_entropy(text_logits.float(), batch.text_targets, reduction="sum"),
        functional.cross_entropy(code_logits.float(), batch.code_targets, reduction="sum"),
        len(batch.text_targets), len(batch.code_targets), hits,
    )


def validation_figures(parts: Sequence[Losses]) -> dict[str, float]:
    """Code cross-entropy (nats a code) and top-1 over all tokens of several batches."""
    tokens = sum(part.code_tokens for part in parts)
    return {
        "validation_code_cross_entropy": sum(part.code_sum.item() for part in parts) / tokens,
        "validation_code_top1": sum(part.code_hits for part in parts) / tokens,
    }


def weighted_loss(losses: Losses, text_weight: float, code_weight: float, text_tokens: int, code_tokens: int) -> Tensor:
    """This batch's part of the loss of a global batch that holds text_tokens and code_tokens in all."""
    return text_weight * losses.text_sum / text_tokens + code_weight * losses.code_sum / code_tokens
