"""The ways to lay out a batch that are raced against each other, over one model and one optimiser."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.packed_rows import ATTENTIONS, Attend, PackedVoice, collate_packed, packed_attention
from benchmarks.padded_trainer import as_published, collate_padded, padded_losses
from stages.core.model.unified_voice import UnifiedVoice
from stages.core.training.batching import Row, collate
from stages.core.training.objective import Losses, compute_losses, weighted_loss

TEXT_WEIGHT, CODE_WEIGHT = 0.2, 0.8
LossOf = Callable[[UnifiedVoice, Sequence[Row], torch.device], Tensor]
Setting = Callable[[UnifiedVoice], AbstractContextManager[None]]


@dataclass(frozen=True)
class Layout:
    """One contestant.

    Attributes:
        name: as the tables say it.
        loss_of: loss of a batch of rows, collated on the way.
        bucketed: whether batches hold rows of similar lengths, as the product makes them; else random ones.
        setting: what of the model is different while it runs.
        half: whether it runs under bfloat16 on a CPU too (on CUDA all do).
    """

    name: str
    loss_of: LossOf
    bucketed: bool = False
    setting: Setting = lambda model: nullcontext()
    half: bool = False


def bucketed_loss(model: UnifiedVoice, rows: Sequence[Row], device: torch.device) -> Tensor:
    """The product's: contiguous rows, padding on the right only, logits at supervised positions."""
    return _weighted(compute_losses(model, collate(rows, model.settings).to(device)))


def padded_loss(model: UnifiedVoice, rows: Sequence[Row], device: torch.device) -> Tensor:
    """The public trainers'."""
    text, codes, _ = padded_losses(model, collate_padded(rows, model.settings).to(device))
    return TEXT_WEIGHT * text + CODE_WEIGHT * codes


def packed_loss(attend: Attend) -> LossOf:
    """The product's objective over rows packed one after another."""

    def loss_of(model: UnifiedVoice, rows: Sequence[Row], device: torch.device) -> Tensor:
        packed = collate_packed(rows, model.settings).to(device)
        return _weighted(compute_losses(PackedVoice(model, packed, attend), packed.batch))  # type: ignore[arg-type]

    return loss_of


def _weighted(losses: Losses) -> Tensor:
    return weighted_loss(losses, TEXT_WEIGHT, CODE_WEIGHT, losses.text_tokens, losses.code_tokens)


PADDED, PUBLISHED, BUCKETED, HALF = "padded", "padded, as published", "bucketed", "bucketed, bfloat16"
LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout(PADDED, padded_loss),
        Layout(PUBLISHED, padded_loss, setting=as_published),
        Layout(BUCKETED, bucketed_loss, bucketed=True),
        Layout(HALF, bucketed_loss, bucketed=True, half=True),
        *(Layout(f"packed, {name}", packed_loss(attend), setting=packed_attention)
          for name, attend in ATTENTIONS.items()),
    )
}
