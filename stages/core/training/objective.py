"""The training objective: next-token cross-entropy of text and of codes, each averaged over the global batch.

Shapes: S supervised positions, D model width, V classes of a head.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from stages.core.model.unified_voice import Batch, UnifiedVoice

CHUNK_POSITIONS = 2048


class Losses(NamedTuple):
    """Sums over supervised tokens, and their counts.

    Attributes:
        text_sum, code_sum: summed cross-entropy in nats, differentiable scalars.
        divergence_sum: summed KL divergence from the teacher in nats over codes of replay rows; 0 without a teacher.
        code_hits: codes whose most likely prediction is the target, scalar.
        text_tokens, code_tokens: supervised tokens.
    """

    text_sum: Tensor
    code_sum: Tensor
    divergence_sum: Tensor
    code_hits: Tensor
    text_tokens: int
    code_tokens: int


class Teaching(NamedTuple):
    """What the base says to the replay rows of a batch.

    Attributes:
        rows: the replay rows alone, laid out for the teacher.
        at: int64 [R] their places among the batch's code positions.
    """

    rows: Batch
    at: Tensor


class Objective(nn.Module):
    """A model and its losses in one forward pass, which is what data-parallel wrappers need."""

    def __init__(self, model: UnifiedVoice):
        super().__init__()
        self.model = model

    def forward(self, batch: Batch, taught: tuple[Tensor, Tensor] | None = None) -> Losses:
        return compute_losses(self.model, batch, taught)


def compute_losses(model: UnifiedVoice, batch: Batch, taught: tuple[Tensor, Tensor] | None = None) -> Losses:
    """Forward one batch; logits are computed at supervised positions only, a chunk at a time.

    Args:
        taught: places [R] among the code positions, and the teacher's normed states' code logits [R, V] there.
    """
    text_states, code_states = model(batch)
    text = _over_chunks(lambda *chunk: _cross_entropy(model.text_head, *chunk), text_states, batch.text_targets)
    code = _over_chunks(lambda *chunk: _cross_entropy(model.mel_head, *chunk), code_states, batch.code_targets)
    divergence = code_states.new_zeros(1)
    if taught:
        places, logits = taught
        divergence = _over_chunks(lambda *chunk: _divergence(model.mel_head, *chunk), code_states[places], logits)
    return Losses(text[0], code[0], divergence[0], code[1].detach(), len(batch.text_targets), len(batch.code_targets))


def _over_chunks(score: Callable[..., Tensor], *aligned: Tensor) -> Tensor:
    """Sum of `score` over chunks of positions.

    Of several chunks none keeps its logits for the backward pass (they are computed again), so that memory depends on
    the chunk and not on positions times classes.
    """
    chunks = list(zip(*(tensor.split(CHUNK_POSITIONS) for tensor in aligned), strict=True))
    if len(chunks) == 1:
        return score(*chunks[0])
    sums: list[Tensor] = [checkpoint(score, *chunk, use_reentrant=False, preserve_rng_state=False) for chunk in chunks]
    return torch.stack(sums).sum(dim=0)


def _cross_entropy(head: nn.Module, states: Tensor, targets: Tensor) -> Tensor:
    """Summed cross-entropy and number of right top-1 predictions, [2]."""
    logits = head(states)
    with torch.no_grad():
        hits = (logits.argmax(dim=-1) == targets).sum()
    return torch.stack([functional.cross_entropy(logits.float(), targets, reduction="sum"), hits.float()])


def _divergence(head: nn.Module, states: Tensor, teacher_logits: Tensor) -> Tensor:
    """Summed KL(teacher || model), [1]."""
    log_probabilities = head(states).float().log_softmax(dim=-1)
    teacher = teacher_logits.float().log_softmax(dim=-1)
    return functional.kl_div(log_probabilities, teacher, reduction="sum", log_target=True)[None]


def validation_figures(parts: Sequence[Losses], prefix: str = "validation") -> dict[str, float]:
    """Code cross-entropy (nats a code) and top-1 over all tokens of several batches."""
    tokens = sum(part.code_tokens for part in parts)
    return {
        f"{prefix}_code_cross_entropy": sum(part.code_sum.item() for part in parts) / tokens,
        f"{prefix}_code_top1": sum(part.code_hits.item() for part in parts) / tokens,
    }


def weighted_loss(losses: Losses, text_weight: float, code_weight: float, text_tokens: int, code_tokens: int) -> Tensor:
    """This batch's part of the loss of a global batch that holds text_tokens and code_tokens in all."""
    return text_weight * losses.text_sum / text_tokens + code_weight * losses.code_sum / code_tokens
