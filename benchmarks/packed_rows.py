"""Packed rows: a batch's rows one after another in one long row, attention block-diagonal and causal.

Candidates that were measured against bucketed right padding; the product keeps the faster. Shapes: B rows, T positions
of the longest, P positions of all rows together, H heads, C channels of a head.

Attention comes in through transformers' registry, as `packed_rows`; each way is a function of query, key, value
[1, H, P, C] and the packing, to [1, P, H, C].
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AttentionInterface

from stages.core.model.settings import GptSettings
from stages.core.model.unified_voice import SPEED_TOKENS, Batch, UnifiedVoice
from stages.core.training.batching import Row, collate

REGISTERED = "packed_rows"


@dataclass(frozen=True)
class Packing:
    """Where each row lies.

    Attributes:
        lengths: of the rows.
        offsets: int32 [B + 1], the first position of each row, and P.
        row_of: [P] the row of a position.
    """

    lengths: list[int]
    offsets: Tensor
    row_of: Tensor


@dataclass(frozen=True)
class PackedBatch:
    """A collated batch, and where its positions stand when packed.

    Attributes:
        batch: as the product collates it; text_at and code_at count in P instead of B * T.
        kept: [P] flat positions (into B * T) that are no padding.
    """

    batch: Batch
    kept: Tensor
    packing: Packing

    def to(self, device: torch.device) -> "PackedBatch":
        packing = replace(self.packing, offsets=self.packing.offsets.to(device), row_of=self.packing.row_of.to(device))
        return PackedBatch(self.batch.to(device), self.kept.to(device), packing)


def collate_packed(rows: Sequence[Row], settings: GptSettings) -> PackedBatch:
    """Lay rows out one after another."""
    batch = collate(rows, settings)
    width = batch.layout.shape[1]
    lengths = [len(row.conditioning) + SPEED_TOKENS + len(row.text) + 2 + len(row.codes) + 1 for row in rows]
    real = torch.arange(width) < torch.tensor(lengths)[:, None]
    place = real.flatten().cumsum(0) - 1
    offsets = torch.tensor([0, *lengths]).cumsum(0)
    packing = Packing(lengths, offsets.int(), torch.arange(len(rows)).repeat_interleave(torch.tensor(lengths)))
    moved = replace(batch, text_at=place[batch.text_at], code_at=place[batch.code_at])
    return PackedBatch(moved, real.flatten().nonzero()[:, 0], packing)


class PackedVoice:
    """A `UnifiedVoice` that runs a packed batch; heads and all else are the model's own."""

    def __init__(self, model: UnifiedVoice, packed: PackedBatch, attend: "Attend"):
        self.model, self.packed, self.attend = model, packed, attend

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def __call__(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What `UnifiedVoice` returns."""
        model, kept = self.model, self.packed.kept
        inputs = torch.cat(
            [model.embed_prefix(batch.conditioning), model.embed_text(batch.text), model.embed_codes(batch.codes)], 1
        )
        first = torch.arange(len(inputs), device=kept.device)[:, None] * inputs.shape[1]
        source = (batch.layout + first).flatten()[kept]
        states = model.gpt(inputs_embeds=inputs.flatten(0, 1)[source][None], use_cache=False,
                           packing=self.packed.packing, attend=self.attend).last_hidden_state[0]
        return model.final_norm(states[batch.text_at]), model.final_norm(states[batch.code_at])


def _registered(module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Any, *, packing: Packing,
                attend: "Attend", **_: Any) -> tuple[Tensor, None]:
    return attend(query, key, value, packing), None


AttentionInterface.register(REGISTERED, _registered)


@contextmanager
def packed_attention(model: UnifiedVoice) -> Iterator[None]:
    """Inside, the model's blocks attend by what `PackedVoice` hands them."""
    before = model.gpt.config._attn_implementation
    model.gpt.config._attn_implementation = REGISTERED
    try:
        yield
    finally:
        model.gpt.config._attn_implementation = before


def attend_row_by_row(query: Tensor, key: Tensor, value: Tensor, packing: Packing) -> Tensor:
    """A causal call for each row; only the linear layers are shared."""
    parts = (stream.split(packing.lengths, dim=2) for stream in (query, key, value))
    rows = [functional.scaled_dot_product_attention(own_query, own_key, own_value, is_causal=True)
            for own_query, own_key, own_value in zip(*parts, strict=True)]
    return torch.cat(rows, dim=2).transpose(1, 2)


def attend_by_mask(query: Tensor, key: Tensor, value: Tensor, packing: Packing) -> Tensor:
    """One call with a dense [P, P] mask."""
    rows = packing.row_of
    mask = (rows[:, None] == rows).tril()
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask).transpose(1, 2)


def attend_nested(query: Tensor, key: Tensor, value: Tensor, packing: Packing) -> Tensor:
    """One call over nested (jagged) tensors."""
    offsets, longest = packing.offsets.long(), max(packing.lengths)
    queries, keys, values = (
        torch.nested.nested_tensor_from_jagged(
            stream[0].transpose(0, 1).contiguous(), offsets, min_seqlen=min(packing.lengths), max_seqlen=longest
        ).transpose(1, 2)
        for stream in (query, key, value)
    )
    attended = functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)
    return attended.transpose(1, 2).values()[None]


def attend_flex(query: Tensor, key: Tensor, value: Tensor, packing: Packing) -> Tensor:
    """Compiled flex_attention with a block mask; CUDA."""
    flex, make_mask = _compiled_flex()
    rows, total = packing.row_of, query.shape[2]

    def visible(batch: Tensor, head: Tensor, here: Tensor, there: Tensor) -> Tensor:
        return (rows[here] == rows[there]) & (here >= there)

    mask = make_mask(visible, None, None, total, total, device=query.device)
    return flex(query, key, value, block_mask=mask).transpose(1, 2)


@cache
def _compiled_flex() -> tuple[Any, Any]:
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    return torch.compile(flex_attention, dynamic=True), torch.compile(create_block_mask, dynamic=True)


def attend_varlen(query: Tensor, key: Tensor, value: Tensor, packing: Packing) -> Tensor:
    """Flash attention over offsets; CUDA, half precision."""
    from torch.nn.attention.varlen import varlen_attn

    queries, keys, values = (stream[0].transpose(0, 1).contiguous() for stream in (query, key, value))
    offsets, longest = packing.offsets, max(packing.lengths)
    attended: Any = varlen_attn(queries, keys, values, offsets, offsets, longest, longest, window_size=(-1, 0))
    return attended[None]


Attend = Callable[[Tensor, Tensor, Tensor, Packing], Tensor]
ATTENTIONS: dict[str, Attend] = {
    "row by row": attend_row_by_row,
    "dense mask": attend_by_mask,
    "nested tensors": attend_nested,
    "flex_attention": attend_flex,
    "varlen flash": attend_varlen,
}
