"""The trained part of IndexTTS2: a GPT over [conditioning | text | speech codes], under upstream's parameter names.

Shapes: B rows, N conditioning latents, D model width, T positions of the longest row, L text tokens, M codes.
A row is contiguous and padded on the right only; causality hides the padding, so no attention mask is needed:

    [cond 1..N + emo][speed 1][speed 0][start_text t1..tL stop_text][start_mel c1..cM]
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2Model

from stages.core.model.settings import GptSettings

SPEED_TOKENS = 2


class LearnedPositions(nn.Module):
    """A table of positions; upstream calls its weight `emb.weight`."""

    def __init__(self, positions: int, dim: int):
        super().__init__()
        self.emb = nn.Embedding(positions, dim)
        nn.init.normal_(self.emb.weight, std=0.02)


class NoPositions(nn.Module):
    """Stands for GPT-2's own positions: each stream brings its own."""

    def forward(self, position_ids: Tensor) -> Tensor:
        return torch.zeros((), device=position_ids.device)


@dataclass(frozen=True)
class Batch:
    """Rows laid out for one forward pass.

    Attributes:
        conditioning: [B, N, D], the emotion vector already added.
        text: [B, L + 2] start, ids, stop; padded with 0.
        codes: [B, M + 1] start, codes; padded with 0.
        layout: [B, T] which input (index into the concatenation of conditioning, speed, text, codes) stands where.
        text_at, code_at: flat positions (into B * T) whose next token is supervised.
        text_targets, code_targets: that token, in the order of text_at, code_at.
    """

    conditioning: Tensor
    text: Tensor
    codes: Tensor
    layout: Tensor
    text_at: Tensor
    text_targets: Tensor
    code_at: Tensor
    code_targets: Tensor

    def to(self, device: torch.device) -> "Batch":
        return Batch(*(value.to(device, non_blocking=True) for value in vars(self).values()))

    def pin_memory(self) -> "Batch":
        return Batch(*(value.pin_memory() for value in vars(self).values()))


class UnifiedVoice(nn.Module):
    """GPT-2 blocks with text and code embeddings, positions and heads."""

    def __init__(self, settings: GptSettings, dropout: float = 0.0):
        super().__init__()
        self.settings = settings
        dim = settings.model_dim
        text_positions = settings.max_text_tokens + 2
        code_positions = settings.max_mel_tokens + 2 + settings.conditioning_prompts
        self.text_embedding = nn.Embedding(settings.number_text_tokens + 1, dim)
        self.mel_embedding = nn.Embedding(settings.number_mel_codes, dim)
        nn.init.normal_(self.text_embedding.weight, std=0.02)
        nn.init.normal_(self.mel_embedding.weight, std=0.02)
        self.gpt = build_gpt(settings, text_positions + code_positions, dropout)
        self.mel_pos_embedding = LearnedPositions(code_positions, dim)
        self.text_pos_embedding = LearnedPositions(text_positions, dim)
        self.final_norm = nn.LayerNorm(dim)
        self.text_head = nn.Linear(dim, settings.number_text_tokens + 1)
        self.mel_head = nn.Linear(dim, settings.number_mel_codes)
        self.speed_emb = nn.Embedding(2, dim)
        nn.init.zeros_(self.speed_emb.weight)

    def embed_prefix(self, conditioning: Tensor) -> Tensor:
        """Conditioning [B, N, D] to [B, N + 2, D]: the two speed tokens follow."""
        speed = self.speed_emb.weight.flip(0).expand(len(conditioning), -1, -1)
        return torch.cat([conditioning, speed], dim=1)

    def embed_text(self, text: Tensor) -> Tensor:
        """Token ids [B, L] to [B, L, D], positions from 0."""
        return self.text_embedding(text) + self.text_pos_embedding.emb.weight[: text.shape[1]]

    def embed_codes(self, codes: Tensor, first_position: int = 0) -> Tensor:
        """Codes [B, M] to [B, M, D], positions from `first_position`."""
        positions = self.mel_pos_embedding.emb.weight[first_position : first_position + codes.shape[1]]
        return self.mel_embedding(codes) + positions

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Normed states at the supervised positions: text [number of text_at, D], codes [number of code_at, D]."""
        inputs = torch.cat(
            [self.embed_prefix(batch.conditioning), self.embed_text(batch.text), self.embed_codes(batch.codes)], dim=1
        )
        rows = inputs.gather(1, batch.layout[..., None].expand(-1, -1, inputs.shape[-1]))
        states = self.gpt(inputs_embeds=rows, use_cache=False).last_hidden_state.flatten(0, 1)
        return self.final_norm(states[batch.text_at]), self.final_norm(states[batch.code_at])


def build_gpt(settings: GptSettings, positions: int, dropout: float) -> GPT2Model:
    """GPT-2 blocks without token and position tables. `gelu_pytorch_tanh` computes the same as `gelu_new`, faster."""
    gpt = GPT2Model(
        GPT2Config(
            vocab_size=1, n_positions=positions, n_embd=settings.model_dim, n_layer=settings.layers,
            n_head=settings.heads, activation_function="gelu_pytorch_tanh", attn_implementation="sdpa",
            resid_pdrop=dropout, embd_pdrop=dropout, attn_pdrop=0.0, bos_token_id=None, eos_token_id=None,
        )
    )
    del gpt.wte
    gpt.wpe = NoPositions()
    return gpt
