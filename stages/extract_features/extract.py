"""Batches of utterances through the base's adapter and frozen encoders; each gives what it gives alone."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from stages.core.artifacts.files import below
from stages.core.audio.files import read_audio
from stages.core.errors import UserError
from stages.core.model.conditioning import Conditioner
from stages.core.model.settings import GptSettings
from stages.core.model.speech import SpeechAdapter
from stages.core.text.tokenizer import Tokenizer

SHORTEST_SECONDS = 0.1


@dataclass(frozen=True)
class Extractor:
    """What turns utterances into features.

    Attributes:
        corpus: folder that the manifest's audio paths start from.
        prompt_seconds_max: a prompt is cut to this.
        batch_seconds: most audio of one forward pass, padding counted.
    """

    adapter: SpeechAdapter
    conditioner: Conditioner
    tokenizer: Tokenizer
    corpus: Path
    prompt_seconds_max: float
    batch_seconds: float

    def extract(self, rows: Sequence[dict[str, Any]]) -> Iterator[tuple[int, dict[str, Tensor]]]:
        """Place in `rows` and features of each utterance, shortest first.

        The features are text ids, codes, and the conditioning that the utterance gives as a prompt.

        Raises:
            UserError: a batch does not fit into the device's memory.
        """
        for places in batches([row["duration_seconds"] for row in rows], self.batch_seconds):
            batch = [rows[place] for place in places]
            try:
                features = self._extract_batch(batch)
            except torch.OutOfMemoryError:
                raise UserError(
                    f"out of memory at {len(batch)} utterance(s) of up to {batch[-1]['duration_seconds']} s, "
                    f"{batch[-1]['id']} the longest; lower extract_features.batch_seconds (now {self.batch_seconds}) "
                    "or the corpus' duration_seconds_max"
                ) from None
            yield from zip(places, features, strict=True)

    @torch.inference_mode()
    def _extract_batch(self, rows: Sequence[dict[str, Any]]) -> list[dict[str, Tensor]]:
        audio = [read_audio(below(self.corpus, row["audio"]), self.adapter.sample_rate_hz) for row in rows]
        speech = self.adapter.analyse_batch(audio)
        features = [one.features for one in speech]
        longest = int(self.prompt_seconds_max * self.adapter.sample_rate_hz)
        if cut := [place for place, one in enumerate(audio) if len(one) > longest]:
            prompts = self.adapter.analyse_batch([audio[place][:longest] for place in cut])
            for place, prompt in zip(cut, prompts, strict=True):
                features[place] = prompt.features
        padded = pad_sequence(features, batch_first=True)
        lengths = torch.tensor([len(one) for one in features], device=padded.device)
        voices = self.conditioner.voice(padded, lengths).cpu()
        emotions = self.conditioner.emotion(padded, lengths).cpu()
        return [
            {"text": torch.tensor(self.tokenizer.encode(row["text_normalised"])), "codes": one.codes,
             "voice": voice, "emotion": emotion}
            for row, one, voice, emotion in zip(rows, speech, voices, emotions, strict=True)
        ]


def batches(durations_seconds: Sequence[float], batch_seconds: float) -> Iterator[list[int]]:
    """Places in order of duration, as many at once as fit when all are padded to the longest; at least one."""
    order = sorted(range(len(durations_seconds)), key=lambda place: (durations_seconds[place], place))
    held: list[int] = []
    for place in order:
        if held and (len(held) + 1) * durations_seconds[place] > batch_seconds:
            yield held
            held = []
        held.append(place)
    if held:
        yield held


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
        if len(peers) == 1:
            rejected.append({"id": peers[0]["id"], "reason": "its speaker has no other utterance to be the prompt"})
            continue
        by_split: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in peers:
            by_split[row["split"]].append(row)
        for same in by_split.values():
            others = same[1:] + same[:1] if len(same) > 1 else [peer for peer in peers if peer is not same[0]][:1]
            prompts.update({row["id"]: other["id"] for row, other in zip(same, others, strict=True)})
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
