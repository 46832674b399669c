"""Sampling of speech codes, batched with left padding and a key-value cache.

Codes stand at the positions of training: start_mel at 0, the n-th code at n. Upstream's cached sampling gives the n-th
code position n + 1, which its training and its second pass for the latents do not (tests/interop/test_positions.py); a
model is at its best where it was trained, by 0.09 nats a code on the miniature (benchmarks/code_positions.py).

Shapes: B rows, N conditioning latents, D model width, T prefix positions, V codes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from stages.core.model.unified_voice import UnifiedVoice


@dataclass(frozen=True)
class SamplingSettings:
    """How codes are drawn.

    Attributes:
        temperature: divides the logits; 0 takes the most likely code.
        top_p: nucleus (Holtzman et al., 2020).
        top_k: 0 keeps all.
        repetition_penalty: divides (multiplies, when negative) the logits of codes already drawn (Keskar et al., 2019).
        codes_max: longest output; a row without a stop by then is cut.
        seed: of the draw.
    """

    temperature: float
    top_p: float
    top_k: int
    repetition_penalty: float
    codes_max: int
    seed: int


@torch.inference_mode()
def sample_codes(
    model: UnifiedVoice, conditioning: Tensor, texts: Sequence[Tensor], settings: SamplingSettings
) -> list[tuple[Tensor, bool]]:
    """Speak texts (each int64 [L], no start or stop) with conditioning [B, N, D].

    Returns:
        for each row its codes, int64 [M], and whether a stop token ended them.
    """
    device, generator = conditioning.device, torch.Generator().manual_seed(settings.seed)
    inputs, mask = _left_padded_prefix(model, conditioning, texts)
    output = model.gpt(inputs_embeds=inputs, attention_mask=mask, use_cache=True)
    gpt = model.settings
    drawn = torch.full((len(texts), settings.codes_max), gpt.stop_mel_token, device=device)
    seen = torch.zeros(len(texts), gpt.number_mel_codes, dtype=torch.bool, device=device)
    finished = torch.zeros(len(texts), dtype=torch.bool, device=device)
    for step in range(settings.codes_max):
        logits = model.mel_head(model.final_norm(output.last_hidden_state[:, -1])).float()
        logits[:, gpt.start_mel_token] = -torch.inf
        codes = _draw(logits, seen, settings, generator)
        codes = torch.where(finished, gpt.stop_mel_token, codes)
        drawn[:, step] = codes
        seen.scatter_(1, codes[:, None], True)
        finished |= codes == gpt.stop_mel_token
        if finished.all():
            break
        mask = torch.cat([mask, mask.new_ones(len(texts), 1)], dim=1)
        output = model.gpt(
            inputs_embeds=model.embed_codes(codes[:, None], step + 1), attention_mask=mask,
            past_key_values=output.past_key_values, use_cache=True,
        )
    return [(row[row != gpt.stop_mel_token].cpu(), bool(done)) for row, done in zip(drawn, finished, strict=True)]


def _left_padded_prefix(
    model: UnifiedVoice, conditioning: Tensor, texts: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    """Everything up to and with start_mel: [B, T, D], and the mask [B, T] of what is no padding."""
    gpt, rows = model.settings, []
    prefix = model.embed_prefix(conditioning)
    start = model.embed_codes(torch.tensor([[gpt.start_mel_token]], device=conditioning.device))[0]
    for row, text in zip(prefix, texts, strict=True):
        ids = [gpt.start_text_token, *text.tolist(), gpt.stop_text_token]
        rows.append(torch.cat([row, model.embed_text(torch.tensor([ids], device=row.device))[0], start]))
    inputs = pad_sequence(rows, batch_first=True, padding_side="left")
    lengths = torch.tensor([len(row) for row in rows], device=inputs.device)
    mask = torch.arange(inputs.shape[1], device=inputs.device) >= inputs.shape[1] - lengths[:, None]
    return inputs, mask.long()


def _draw(logits: Tensor, seen: Tensor, settings: SamplingSettings, generator: torch.Generator) -> Tensor:
    """One code a row from logits [B, V]."""
    if settings.repetition_penalty != 1.0:
        penalised = torch.where(logits > 0, logits / settings.repetition_penalty, logits * settings.repetition_penalty)
        logits = torch.where(seen, penalised, logits)
    if settings.temperature == 0:
        return logits.argmax(dim=-1)
    logits = logits / settings.temperature
    if settings.top_k:
        logits = logits.masked_fill(logits < logits.topk(settings.top_k).values[:, -1:], -torch.inf)
    if settings.top_p < 1.0:
        ranked, order = logits.softmax(dim=-1).sort(dim=-1, descending=True)
        beyond = ranked.cumsum(dim=-1) - ranked >= settings.top_p
        logits = logits.masked_fill(torch.zeros_like(beyond).scatter(1, order, beyond), -torch.inf)
    probabilities = logits.softmax(dim=-1)
    return torch.multinomial(probabilities.cpu(), 1, generator=generator)[:, 0].to(logits.device)
