"""Sampled speech of held-out texts, heard by the judge."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from stages.core.audio.espeak import phones
from stages.core.audio.files import read_audio
from stages.core.model.sampling import SamplingSettings, sample_codes
from stages.core.model.speech import SpeakingAdapter
from stages.core.model.unified_voice import UnifiedVoice
from stages.core.training.batching import Row
from stages.core.training.features import FeatureSet, Utterance
from stages.evaluate_speech.judge import Heard, Judge

BATCH = 32
Item = TypeVar("Item")


@dataclass(frozen=True)
class Drawn:
    """Sampled codes [M] of a held-out utterance, beside its row with the true ones; `stopped`: by a stop token."""

    utterance: Utterance
    row: Row
    codes: Tensor
    stopped: bool


@dataclass(frozen=True)
class Sample:
    """One sampled utterance.

    Attributes:
        line, prompt_line: its manifest row and its prompt's.
        audio, reference, prompt: [S] each, at `sample_rate_hz`.
        stopped: a stop token ended it.
        expected: phones of the text.
        heard, heard_reference, heard_coded: by the judge; the last is the reference through codes and back, what a
            perfect model would give.
    """

    line: dict[str, Any]
    prompt_line: dict[str, Any]
    audio: Tensor
    reference: Tensor
    prompt: Tensor
    sample_rate_hz: int
    stopped: bool
    expected: list[str]
    heard: Heard
    heard_reference: Heard
    heard_coded: Heard


def spread(items: Sequence[Item], most: int) -> list[Item]:
    """At most so many items, evenly over the sequence."""
    if len(items) <= most:
        return list(items)
    return [items[int((place + 0.5) * len(items) / most)] for place in range(most)]


def choose_rows(features: FeatureSet, most: int) -> list[int]:
    """Indices spread evenly over texts and speakers; they stand text by text, so that any stretch mixes speakers."""
    order = sorted(range(len(features)), key=lambda index: features.utterances[index].id.rsplit("-", 1)[::-1])
    return spread(order, most)


def sample_rows(model: UnifiedVoice, rows: Sequence[Row], utterances: Sequence[Utterance], settings: SamplingSettings,
                codes_per_text_token_max: float) -> list[Drawn]:
    """Codes of each row's text in its prompt's voice, and whether they ended by a stop."""
    device = model.mel_head.weight.device
    results: list[tuple[Tensor, bool]] = []
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        longest = max(len(row.text) for row in part) + 8
        most = min(int(longest * codes_per_text_token_max), model.settings.max_mel_tokens)
        limited = replace(settings, codes_max=most, seed=settings.seed + start)
        conditioning = torch.stack([row.conditioning for row in part]).to(device)
        results += sample_codes(model, conditioning, [row.text for row in part], limited)
    return [Drawn(utterance, row, codes, stopped)
            for utterance, row, (codes, stopped) in zip(utterances, rows, results, strict=True)]


def listen(
    drawn: Sequence[Drawn], manifest: dict[str, dict[str, Any]], corpus: Path, adapter: SpeakingAdapter, judge: Judge,
    phone_voice: str,
) -> list[Sample]:
    """Decode and judge; `phone_voice` is the espeak-ng language that reads the texts to phones."""
    samples = []
    for one in drawn:
        line, prompt_line = manifest[one.utterance.id], manifest[one.utterance.prompt]
        rate = adapter.sample_rate_hz
        reference, prompt = (read_audio(corpus / read["audio"], rate) for read in (line, prompt_line))
        expected = phones(line["text_normalised"], phone_voice)
        audio = adapter.decode(one.codes, prompt)
        samples.append(Sample(
            line, prompt_line, audio, reference, prompt, rate, one.stopped, expected, judge.hear(audio, expected),
            judge.hear(reference, expected), judge.hear(adapter.decode(one.row.codes, prompt), expected),
        ))
    return samples
