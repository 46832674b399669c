"""One utterance after the other through the base's adapter and frozen encoders."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stages.core.audio.files import read_audio
from stages.core.model.adapter import SpeechAdapter
from stages.core.model.conditioning import Conditioner
from stages.core.model.settings import GptSettings
from stages.core.text.tokenizer import Tokenizer


@torch.inference_mode()
def extract_row(
    row: dict[str, Any], corpus: Path, tokenizer: Tokenizer, adapter: SpeechAdapter, conditioner: Conditioner,
    prompt_seconds_max: float,
) -> dict[str, Tensor]:
    """Text ids, codes, and the conditioning that this utterance gives as a prompt."""
    audio = read_audio(corpus / row["audio"], adapter.sample_rate_hz)
    speech = adapter.analyse(audio)
    prompt_samples = int(prompt_seconds_max * adapter.sample_rate_hz)
    prompt = speech if len(audio) <= prompt_samples else adapter.analyse(audio[:prompt_samples])
    features, lengths = prompt.features[None], torch.tensor([len(prompt.features)])
    return {
        "text": torch.tensor(tokenizer.encode(row["text_normalised"])), "codes": speech.codes,
        "voice": conditioner.voice(features, lengths)[0], "emotion": conditioner.emotion(features, lengths)[0],
    }


def choose_prompts(rows: Sequence[dict[str, Any]]) -> tuple[dict[str, str], list[dict[str, str]]]:
    """For each utterance another one of its speaker, of the same split where there is one.

    Returns:
        prompt id by utterance id; the utterances whose speaker has no other, with the reason.
    """
    by_speaker: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_speaker[row["speaker"]].append(row)
    prompts, rejected = {}, []
    for peers in by_speaker.values():
        for row in peers:
            if len(peers) == 1:
                rejected.append({"id": row["id"], "reason": "its speaker has no other utterance to be the prompt"})
                continue
            same = [peer for peer in peers if peer["split"] == row["split"]]
            ring = same if len(same) > 1 else [row, *(peer for peer in peers if peer is not row)]
            prompts[row["id"]] = ring[(ring.index(row) + 1) % len(ring)]["id"]
    return prompts, rejected


def length_problem(features: dict[str, Tensor], settings: GptSettings) -> str:
    """Why the model cannot hold an utterance, or an empty string."""
    if len(features["text"]) > settings.max_text_tokens:
        return f"text of {len(features['text'])} tokens, the model holds {settings.max_text_tokens}"
    if len(features["codes"]) > settings.max_mel_tokens:
        return f"speech of {len(features['codes'])} codes, the model holds {settings.max_mel_tokens}"
    return "" if len(features["codes"]) and len(features["text"]) else "empty text or speech"


def shards(rows: Sequence[dict[str, Any]], shard_utterances: int) -> Iterator[tuple[str, Sequence[dict[str, Any]]]]:
    """File names and their rows."""
    for number, start in enumerate(range(0, len(rows), shard_utterances)):
        yield f"features-{number:05d}.safetensors", rows[start : start + shard_utterances]
