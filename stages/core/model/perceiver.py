"""Perceiver resampler of the speech prompt, under upstream's parameter names.

Perceiver: Jaegle et al., 2021; latents attend to themselves and to the context.
Shapes: B batch, T context frames, E context width, N latents, D model width.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

DEPTH = 2


class PerceiverResampler(nn.Module):
    """Reduces a context of any length to N latents of width D."""

    def __init__(self, dim: int, context_dim: int, latents: int, heads: int, head_dim: int, feed_forward_mult: int):
        super().__init__()
        self.proj_context = nn.Linear(context_dim, dim) if context_dim != dim else nn.Identity()
        self.latents = nn.Parameter(torch.randn(latents, dim) * 0.02)
        self.layers = nn.ModuleList(
            nn.ModuleList([CrossAttention(dim, heads, head_dim), gated_feed_forward(dim, feed_forward_mult)])
            for _ in range(DEPTH)
        )
        self.norm = ScaledNorm(dim)

    def forward(self, context: Tensor, mask: Tensor) -> Tensor:
        """Context [B, T, E] with mask [B, T] (True is valid) to latents [B, N, D]."""
        context = self.proj_context(context)
        latents = self.latents.expand(len(context), -1, -1)
        mask = functional.pad(mask, (latents.shape[1], 0), value=True)
        for layer in self.layers:
            attend, feed_forward = layer.children()
            latents = attend(latents, context, mask) + latents
            latents = feed_forward(latents) + latents
        return self.norm(latents)


class CrossAttention(nn.Module):
    """Queries from the latents; keys and values from the latents and the context."""

    def __init__(self, dim: int, heads: int, head_dim: int):
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(dim, heads * head_dim, bias=False)
        self.to_kv = nn.Linear(dim, 2 * heads * head_dim, bias=False)
        self.to_out = nn.Linear(heads * head_dim, dim, bias=False)

    def _split(self, states: Tensor) -> Tensor:
        return states.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, latents: Tensor, context: Tensor, mask: Tensor) -> Tensor:
        key, value = self.to_kv(torch.cat([latents, context], dim=1)).chunk(2, dim=-1)
        attended = functional.scaled_dot_product_attention(
            self._split(self.to_q(latents)), self._split(key), self._split(value), attn_mask=mask[:, None, None]
        )
        return self.to_out(attended.transpose(1, 2).flatten(2))


class GatedGelu(nn.Module):
    """GEGLU (Shazeer, 2020): the second half of the channels gates the first."""

    def forward(self, states: Tensor) -> Tensor:
        value, gate = states.chunk(2, dim=-1)
        return functional.gelu(gate) * value


def gated_feed_forward(dim: int, mult: int) -> nn.Sequential:
    """Feed-forward of hidden width dim * mult * 2 / 3, so that the gate costs no parameters."""
    hidden = int(dim * mult * 2 / 3)
    return nn.Sequential(nn.Linear(dim, 2 * hidden), GatedGelu(), nn.Linear(hidden, dim))


class ScaledNorm(nn.Module):
    """RMS norm written as upstream's: unit length, times sqrt(D), times a learned gain."""

    def __init__(self, dim: int):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(dim))

    def forward(self, states: Tensor) -> Tensor:
        return functional.normalize(states, dim=-1) * states.shape[-1] ** 0.5 * self.gamma
