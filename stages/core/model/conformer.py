"""Conformer encoder of the speech prompt, under upstream's parameter names.

Conformer: Gulati et al., 2020; relative attention biases: Dai et al., 2019, without the shift, as WeNet has it.
Shapes: B batch, T frames, D features, E encoder width, H heads.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from stages.core.model.settings import EncoderSettings

MAX_FRAMES = 5000


class ConformerEncoder(nn.Module):
    """Halves the frame rate, then applies `num_blocks` conformer layers."""

    def __init__(self, feature_dim: int, settings: EncoderSettings):
        super().__init__()
        self.embed = Subsampling(feature_dim, settings.output_size)
        self.encoders = nn.ModuleList(ConformerLayer(settings) for _ in range(settings.num_blocks))
        self.after_norm = nn.LayerNorm(settings.output_size)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Features [B, T, D] with lengths [B] to states [B, T', E] and their mask [B, T'] (True is valid)."""
        mask = torch.arange(features.shape[1], device=features.device) < lengths[:, None]
        states, positions = self.embed(features)
        mask = mask[:, 2::2]
        for layer in self.encoders:
            states = layer(states, positions, mask)
        return self.after_norm(states), mask


class Subsampling(nn.Module):
    """A strided 2-d convolution over time and features (`conv2d2`), then sinusoidal positions."""

    def __init__(self, feature_dim: int, width: int):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(1, width, 3, 2), nn.ReLU())
        self.out = nn.Sequential(nn.Linear(width * ((feature_dim - 1) // 2), width))
        self.pos_enc = SinusoidalPositions(width)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """[B, T, D] to [B, (T - 1) // 2, E] and positions [1, (T - 1) // 2, E]."""
        hidden = self.conv(features[:, None])
        states = self.out(hidden.transpose(1, 2).flatten(2))
        return states * math.sqrt(states.shape[-1]), self.pos_enc.pe[:, : states.shape[1]]


class SinusoidalPositions(nn.Module):
    """Vaswani et al., 2017. Upstream stores the table in its checkpoints; here it is computed."""

    pe: Tensor

    def __init__(self, width: int):
        super().__init__()
        position = torch.arange(MAX_FRAMES)[:, None]
        rate = torch.exp(torch.arange(0, width, 2) * -(math.log(10000.0) / width))
        table = torch.zeros(MAX_FRAMES, width)
        table[:, 0::2] = torch.sin(position * rate)
        table[:, 1::2] = torch.cos(position * rate)
        self.register_buffer("pe", table[None], persistent=False)


class ConformerLayer(nn.Module):
    """Attention, convolution and feed-forward, each pre-normed and residual, then a last norm."""

    def __init__(self, settings: EncoderSettings):
        super().__init__()
        width = settings.output_size
        self.self_attn = RelativeAttention(width, settings.attention_heads)
        self.conv_module = ConvolutionModule(width)
        self.feed_forward = FeedForward(width, settings.linear_units)
        self.norm_mha, self.norm_conv, self.norm_ff, self.norm_final = (nn.LayerNorm(width) for _ in range(4))

    def forward(self, states: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        states = states + self.self_attn(self.norm_mha(states), positions, mask)
        states = states + self.conv_module(self.norm_conv(states), mask)
        states = states + self.feed_forward(self.norm_ff(states))
        return self.norm_final(states)


class RelativeAttention(nn.Module):
    """Self-attention whose scores add a content-position and a global-position term."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.linear_q, self.linear_k, self.linear_v, self.linear_out = (nn.Linear(width, width) for _ in range(4))
        self.linear_pos = nn.Linear(width, width, bias=False)
        self.pos_bias_u, self.pos_bias_v = (nn.Parameter(torch.empty(heads, width // heads)) for _ in range(2))
        nn.init.xavier_uniform_(self.pos_bias_u)
        nn.init.xavier_uniform_(self.pos_bias_v)

    def _split(self, states: Tensor) -> Tensor:
        return states.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, states: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        query, key, value = (self._split(layer(states)) for layer in (self.linear_q, self.linear_k, self.linear_v))
        position_key = self._split(self.linear_pos(positions))
        content = (query + self.pos_bias_u[:, None]) @ key.transpose(-2, -1)
        place = (query + self.pos_bias_v[:, None]) @ position_key.transpose(-2, -1)
        scores = (content + place) / math.sqrt(query.shape[-1])
        hidden = ~mask[:, None, None]
        weights = scores.masked_fill(hidden, -torch.inf).softmax(dim=-1).masked_fill(hidden, 0.0)
        return self.linear_out((weights @ value).transpose(1, 2).flatten(2))


class ConvolutionModule(nn.Module):
    """Gated pointwise, depthwise over time, norm, SiLU, pointwise.

    Padding is silenced where it would leak, before the depthwise convolution, so that a padded row gives what it
    gives alone (upstream silences it before the gate, whose bias then leaks).
    """

    def __init__(self, width: int, kernel_frames: int = 15):
        super().__init__()
        self.pointwise_conv1 = nn.Conv1d(width, 2 * width, 1)
        self.depthwise_conv = nn.Conv1d(width, width, kernel_frames, padding=kernel_frames // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.pointwise_conv2 = nn.Conv1d(width, width, 1)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        silent = ~mask[:, None]
        hidden = functional.glu(self.pointwise_conv1(states.transpose(1, 2)), dim=1).masked_fill(silent, 0.0)
        hidden = self.depthwise_conv(hidden)
        hidden = functional.silu(self.norm(hidden.transpose(1, 2))).transpose(1, 2)
        return self.pointwise_conv2(hidden).masked_fill(silent, 0.0).transpose(1, 2)


class FeedForward(nn.Module):
    """Two linear layers with SiLU between."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.w_1 = nn.Linear(width, hidden)
        self.w_2 = nn.Linear(hidden, width)

    def forward(self, states: Tensor) -> Tensor:
        return self.w_2(functional.silu(self.w_1(states)))
