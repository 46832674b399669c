"""Guided attention: some heads are told where in the text the speech is.

Guided attention after Tachibana, Uenoyama and Aihara (2018), who penalise attention far from the diagonal between text
and speech. Here the loss is the negative logarithm of the attention that falls near it, so that its gradient does not
vanish where all attention is elsewhere. Pretraining only: the model's files and forward pass know nothing of it.
"""

import math
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from stages.build_base.config import GuideConfig
from stages.core.model.unified_voice import SPEED_TOKENS, Batch, UnifiedVoice


class Guide:
    """Listens to the inputs of one block's attention while a batch passes.

    Use as a context around the forward pass; afterwards `loss` is the mean in nats over guided heads and positions of
    speech, 0 where the weight is.
    """

    def __init__(self, voice: UnifiedVoice, batch: Batch, config: GuideConfig):
        self.block: Any = voice.gpt.h[config.layer]
        self.batch, self.config = batch, config
        self.loss = torch.zeros(())

    def __enter__(self) -> "Guide":
        self.handle = self.block.attn.register_forward_pre_hook(self._hear, with_kwargs=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.handle.remove()

    def _hear(self, attention: nn.Module, inputs: tuple[Tensor, ...], named: dict[str, Tensor]) -> None:
        if self.config.weight == 0:
            return
        states = inputs[0] if inputs else named["hidden_states"]
        self.loss = guide_loss(attention_scores(attention, states, self.config.heads), self.batch, self.config.width)


def attention_scores(attention: Any, states: Tensor, heads: int) -> Tensor:
    """Scores [B, heads, T, T] of the first heads of a GPT-2 attention, before any mask."""
    rows, positions, dim = states.shape
    size = dim // attention.num_heads
    weight, bias = attention.c_attn.weight, attention.c_attn.bias
    query, key = (
        (states @ weight[:, start : start + heads * size] + bias[start : start + heads * size])
        .view(rows, positions, heads, size).transpose(1, 2)
        for start in (0, dim)
    )
    return query @ key.transpose(-1, -2) / math.sqrt(size)


def guide_loss(scores: Tensor, batch: Batch, width: float) -> Tensor:
    """Mean over heads and speech positions of -log(sum over the text of attention x closeness), scalar.

    Args:
        scores: [B, heads, T, T]; attention is their softmax over the row's text.
        width: standard deviation of the closeness (a bell curve of height 1), as a share of the utterance.
    """
    text_first = batch.conditioning.shape[1] + SPEED_TOKENS + 1
    code_first = text_first - 1 + batch.text.shape[1]
    is_code = batch.layout >= code_first
    is_text = (batch.layout >= text_first) & ~is_code
    place = torch.where(is_code, batch.layout - code_first, batch.layout - text_first) + 0.5
    share = place / torch.where(is_code, is_code.sum(1, keepdim=True), is_text.sum(1, keepdim=True))
    closeness = -((share[:, :, None] - share[:, None, :]) ** 2) / (2 * width**2)
    hidden = ~is_text[:, None, None, :]
    attention = scores.masked_fill(hidden, -torch.inf).log_softmax(dim=-1)
    near = (attention + closeness[:, None]).logsumexp(dim=-1)
    return -near.transpose(1, 2)[is_code].mean()
