"""Rows to one forward pass: contiguous, right-padded, supervised positions listed."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stages.core.model.settings import GptSettings
from stages.core.model.unified_voice import SPEED_TOKENS, Batch


@dataclass(frozen=True)
class Row:
    """One utterance with its prompt.

    Attributes:
        utterance: its id.
        text: int64 [L] token ids without start or stop.
        codes: int64 [M].
        conditioning: [N, D], the emotion vector added.
        replay: whether it speaks a language of the base.
    """

    utterance: str
    text: Tensor
    codes: Tensor
    conditioning: Tensor
    replay: bool = False


def collate(rows: Sequence[Row], settings: GptSettings) -> Batch:
    """Lay rows out as `UnifiedVoice` reads them; targets are the left shift, one stop token a stream."""
    text_width = max(len(row.text) for row in rows) + 2
    code_width = max(len(row.codes) for row in rows) + 1
    prefix = len(rows[0].conditioning) + SPEED_TOKENS
    width = max(prefix + len(row.text) + 2 + len(row.codes) + 1 for row in rows)
    text, codes = (torch.zeros(len(rows), size, dtype=torch.int64) for size in (text_width, code_width))
    layout = torch.zeros(len(rows), width, dtype=torch.int64)
    text_at, code_at, text_targets, code_targets = [], [], [], []
    for index, row in enumerate(rows):
        text_inputs = _framed(row.text, settings.start_text_token, settings.stop_text_token)
        code_inputs = _framed(row.codes, settings.start_mel_token, settings.stop_mel_token)
        text[index, : len(text_inputs)] = text_inputs
        codes[index, : len(code_inputs) - 1] = code_inputs[:-1]
        code_start = prefix + len(text_inputs)
        layout[index, :code_start] = torch.arange(code_start)
        row_end = code_start + len(code_inputs) - 1
        layout[index, code_start:row_end] = prefix + text_width + torch.arange(len(code_inputs) - 1)
        text_at.append(index * width + prefix + torch.arange(len(row.text) + 1))
        code_at.append(index * width + code_start + torch.arange(len(row.codes) + 1))
        text_targets.append(text_inputs[1:])
        code_targets.append(code_inputs[1:])
    return Batch(
        torch.stack([row.conditioning for row in rows]), text, codes, layout,
        torch.cat(text_at), torch.cat(text_targets), torch.cat(code_at), torch.cat(code_targets),
    )


def _framed(ids: Tensor, start: int, stop: int) -> Tensor:
    return torch.cat([ids.new_tensor([start]), ids.long(), ids.new_tensor([stop])])
