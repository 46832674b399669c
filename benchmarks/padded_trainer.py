"""The layout of the public IndexTTS2 trainers, written anew from their description, over our `UnifiedVoice`'s parts.

Shapes: B rows, N conditioning latents, D model width, L and M the batch's longest text and codes, V rows of a head.

    [cond 1..N + emo][speed 1][speed 0][start_text t1..tl stop .. stop][start_mel c1..cm stop .. stop]

What they do (JarodMica/index-tts training_v2, its forks, LLjo/index-tts-full-lora-finetuning), and what is so here too:
- batches of a fixed number of utterances, shuffled, lengths not regarded (`DataLoader(shuffle=True)`);
- each stream filled up with its stop token to the batch's longest: codes stand behind padding and attend to it;
- no attention mask;
- both heads over every position of their stream, filling included: [B, V, L + 2] and [B, V, M + 2]; cross-entropy of
  all of it, then masked; means over valid tokens, one stop token a stream among them;
- top-1 of the codes computed each step and read back (theirs copies the logits once more for it; this does not);
- conditioning and emotion computed beforehand, as ours;
- gradient norm clipped at 1, AdamW.

`as_published` sets what their model class brings along besides the layout: upstream builds its GPT-2 blocks with
activation checkpointing (transformers before 5 turns it on from the config), dropout 0.1 also on attention weights, and
`gelu_new`. The optimiser is the one of all others here, fused; theirs is not, and decays every parameter.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.activations import ACT2FN

from stages.core.model.settings import GptSettings
from stages.core.model.unified_voice import UnifiedVoice
from stages.core.training.batching import Row

PUBLISHED_DROPOUT = 0.1


@dataclass(frozen=True)
class PaddedBatch:
    """Rows, each stream padded for itself.

    Attributes:
        conditioning: [B, N, D].
        text, text_targets: [B, L + 2]; text_valid: which targets count.
        codes, code_targets: [B, M + 2]; code_valid: which targets count.
    """

    conditioning: Tensor
    text: Tensor
    text_targets: Tensor
    text_valid: Tensor
    codes: Tensor
    code_targets: Tensor
    code_valid: Tensor

    def to(self, device: torch.device) -> "PaddedBatch":
        return PaddedBatch(*(value.to(device, non_blocking=True) for value in vars(self).values()))


def collate_padded(rows: Sequence[Row], settings: GptSettings) -> PaddedBatch:
    """Pad text and codes of some rows, each with its stop token."""
    text = _streams([row.text for row in rows], settings.start_text_token, settings.stop_text_token)
    codes = _streams([row.codes for row in rows], settings.start_mel_token, settings.stop_mel_token)
    return PaddedBatch(torch.stack([row.conditioning for row in rows]), *text, *codes)


def _streams(streams: Sequence[Tensor], start: int, stop: int) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, targets and validity of a batch of token streams, each [B, longest + 2]."""
    filled = nn.utils.rnn.pad_sequence([ids.long() for ids in streams], batch_first=True, padding_value=stop)
    filled = functional.pad(filled, (0, 1), value=stop)
    targets = functional.pad(filled, (0, 1), value=stop)
    lengths = torch.tensor([len(ids) for ids in streams])
    valid = torch.arange(targets.shape[1]) < lengths[:, None] + 1
    return functional.pad(filled, (1, 0), value=start), targets, valid


def padded_losses(model: UnifiedVoice, batch: PaddedBatch) -> tuple[Tensor, Tensor, float]:
    """Mean cross-entropy of text and of codes, and the top-1 share of the codes."""
    prefix = model.embed_prefix(batch.conditioning)
    inputs = torch.cat([prefix, model.embed_text(batch.text), model.embed_codes(batch.codes)], dim=1)
    states = model.gpt(inputs_embeds=inputs, use_cache=False).last_hidden_state
    states = model.final_norm(states[:, prefix.shape[1] :])
    text_logits = model.text_head(states[:, : batch.text.shape[1]]).permute(0, 2, 1)
    code_logits = model.mel_head(states[:, batch.text.shape[1] :]).permute(0, 2, 1)
    with torch.no_grad():
        hits = (code_logits.argmax(dim=1) == batch.code_targets)[batch.code_valid].float().mean().item()
    return (_masked_mean(text_logits, batch.text_targets, batch.text_valid),
            _masked_mean(code_logits, batch.code_targets, batch.code_valid), hits)


def _masked_mean(logits: Tensor, targets: Tensor, valid: Tensor) -> Tensor:
    losses = functional.cross_entropy(logits, targets, reduction="none")
    return (losses * valid).sum() / valid.sum()


@contextmanager
def as_published(model: UnifiedVoice) -> Iterator[None]:
    """Inside, the GPT-2 blocks run as upstream's class builds them; afterwards as before."""
    dropouts = [module for module in model.gpt.modules() if isinstance(module, nn.Dropout)]
    blocks = list(model.gpt.h)
    before = [module.p for module in dropouts], [block.mlp.act for block in blocks]
    for module in dropouts:
        module.p = PUBLISHED_DROPOUT
    for block in blocks:
        block.mlp.act = ACT2FN["gelu_new"]
    model.gpt.main_input_name = "inputs_embeds"  # else transformers looks for a token table, and there is none
    model.gpt.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": True})
    try:
        yield
    finally:
        for module, share in zip(dropouts, before[0], strict=True):
            module.p = share
        for block, activation in zip(blocks, before[1], strict=True):
            block.mlp.act = activation
        model.gpt.activation_checkpointing_disable()
