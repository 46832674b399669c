"""The encoding half of the released base's semantic codec, under the parameter names of its public weights.

RepCodec (Huang et al., 2024) with a Vocos backbone of ConvNeXt blocks (Siuzdak, 2023; Liu et al., 2022) and one
factorised quantiser (Yu et al., 2022): features are projected to a few dimensions, where the nearest row of the
codebook by direction is the code. The decoding half and the quantiser's way back serve synthesis only and are left out.

Shapes: B rows, T frames, F features, H backbone width, K codebook width, C codes.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from stages.core.model.checkpoint import build_exactly, read_tensors
from stages.core.model.settings import CodecSettings

KERNEL_FRAMES = 7
NORM_EPSILON = 1e-6
SYNTHESIS_ONLY = ("decoder.", "quantizer.quantizers.0.out_project.")


class ConvNextBlock(nn.Module):
    """Depthwise convolution over time, then two pointwise layers whose output is scaled and added."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.dwconv = nn.Conv1d(width, width, KERNEL_FRAMES, padding=KERNEL_FRAMES // 2, groups=width)
        self.norm = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.pwconv1 = nn.Linear(width, hidden)
        self.pwconv2 = nn.Linear(hidden, width)
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, states: Tensor, valid: Tensor) -> Tensor:
        """States [B, H, T]; what is not valid [B, 1, T] is silenced, so that a row gives what it gives alone."""
        states = states * valid
        mixed = self.norm(self.dwconv(states).transpose(1, 2))
        return states + (self.gamma * self.pwconv2(functional.gelu(self.pwconv1(mixed)))).transpose(1, 2)


class Backbone(nn.Module):
    """A convolution into the width, ConvNeXt blocks, a norm."""

    def __init__(self, settings: CodecSettings):
        super().__init__()
        width = settings.vocos_dim
        self.embed = nn.Conv1d(settings.hidden_size, width, KERNEL_FRAMES, padding=KERNEL_FRAMES // 2)
        self.norm = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.convnext = nn.ModuleList(
            ConvNextBlock(width, settings.vocos_intermediate_dim) for _ in range(settings.vocos_num_layers)
        )
        self.final_layer_norm = nn.LayerNorm(width, eps=NORM_EPSILON)

    def forward(self, features: Tensor, valid: Tensor) -> Tensor:
        """Features [B, F, T] with valid [B, 1, T] to states [B, T, H]."""
        states = self.norm(self.embed(features * valid).transpose(1, 2)).transpose(1, 2)
        for block in self.convnext:
            states = block(states, valid)
        return self.final_layer_norm(states.transpose(1, 2))


class NormedProjection(nn.Module):
    """A pointwise convolution whose weight is stored as length and direction (Salimans and Kingma, 2016)."""

    def __init__(self, wide: int, narrow: int):
        super().__init__()
        self.weight_g = nn.Parameter(torch.ones(narrow, 1, 1))
        self.weight_v = nn.Parameter(torch.randn(narrow, wide, 1))
        self.bias = nn.Parameter(torch.zeros(narrow))

    def forward(self, states: Tensor) -> Tensor:
        """[B, F, T] to [B, K, T]."""
        length = self.weight_v.flatten(1).norm(dim=1)[:, None, None]
        return functional.conv1d(states, self.weight_v * (self.weight_g / length), self.bias)


class Quantiser(nn.Module):
    """The nearest row of the codebook, both sides scaled to length one."""

    def __init__(self, settings: CodecSettings):
        super().__init__()
        self.in_project = NormedProjection(settings.hidden_size, settings.codebook_dim)
        self.codebook = nn.Embedding(settings.codebook_size, settings.codebook_dim)

    def forward(self, states: Tensor) -> Tensor:
        """States [B, F, T] to codes, int64 [B, T]."""
        points = functional.normalize(self.in_project(states).transpose(1, 2), dim=-1)
        rows = functional.normalize(self.codebook.weight, dim=-1)
        distances = points.square().sum(-1, keepdim=True) - 2 * points @ rows.T + rows.square().sum(-1)
        return distances.argmin(dim=-1)


class Quantisers(nn.Module):
    """The released codec has a single quantiser; its weights name it as the first of several."""

    def __init__(self, settings: CodecSettings):
        super().__init__()
        self.quantizers = nn.ModuleList([Quantiser(settings)])


class SemanticCodec(nn.Module):
    """Normalised w2v-BERT features to codes."""

    def __init__(self, settings: CodecSettings):
        super().__init__()
        self.encoder = nn.Sequential(Backbone(settings), nn.Linear(settings.vocos_dim, settings.hidden_size))
        self.quantizer = Quantisers(settings)

    def quantise(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Features [B, T, F] with lengths [B] to codes, int64 [B, T]; those beyond a row's length mean nothing."""
        valid = (torch.arange(features.shape[1], device=features.device) < lengths[:, None])[:, None].to(features)
        backbone, widen = self.encoder
        states = widen(backbone(features.transpose(1, 2), valid))
        return self.quantizer.quantizers[0](states.transpose(1, 2))


def load_semantic_codec(path: Path, settings: CodecSettings) -> SemanticCodec:
    """Read the codec's public weights, the synthesis half left unread.

    Raises:
        UserError: the file is missing, or a key is missing, unexpected or misshapen; all at once.
    """
    tensors = read_tensors(path, lambda name: not name.startswith(SYNTHESIS_ONLY))
    return build_exactly(lambda: SemanticCodec(settings), tensors, str(path)).eval().requires_grad_(False)
