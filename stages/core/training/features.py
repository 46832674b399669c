"""Extracted features on disk: shards of concatenated tensors, read lazily, and an index.

Shapes: U utterances of a shard, N conditioning latents, D model width.
A shard holds `text` and `codes` (all utterances one after the other) with `text_offsets`, `code_offsets` [U + 1],
`voice` [U, N, D] and `emotion` [U, D]: what each utterance gives when it is a prompt.
"""

import json
import os
import random
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from stages.core.artifacts.files import below
from stages.core.errors import UserError
from stages.core.training.batching import Row

INDEX_FILE = "index.jsonl"


@dataclass(frozen=True, slots=True)
class Utterance:
    """One line of the index.

    Attributes:
        id, speaker, language, role, split: as in the manifest.
        shard, place: where its tensors lie.
        prompt: id of another utterance of the speaker, the fixed prompt of evaluation.
        text_tokens, code_tokens: lengths.
    """

    id: str
    speaker: str
    language: str
    role: str
    split: str
    shard: str
    place: int
    prompt: str
    text_tokens: int
    code_tokens: int


def write_shard(path: Path, rows: Sequence[dict[str, Tensor]]) -> None:
    """Write rows of `text`, `codes`, `voice`, `emotion` as one shard; conditioning in half precision."""
    def offsets(name: str) -> Tensor:
        return torch.tensor([0, *(len(row[name]) for row in rows)]).cumsum(0)

    save_file(
        {
            "text": torch.cat([row["text"] for row in rows]).int(), "text_offsets": offsets("text"),
            "codes": torch.cat([row["codes"] for row in rows]).int(), "code_offsets": offsets("codes"),
            "voice": torch.stack([row["voice"] for row in rows]).half(),
            "emotion": torch.stack([row["emotion"] for row in rows]).half(),
        },
        path,
    )


def read_index(path: Path) -> Iterator[Utterance]:
    """Every line of an index; equal strings are held once, since a large corpus has a line for each of its utterances.

    Raises:
        UserError: a line is no JSON object with exactly the fields of `Utterance`.
    """
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield Utterance(**{name: _shared(value) for name, value in json.loads(line).items()})
            except (TypeError, ValueError, AttributeError) as error:
                raise UserError(
                    f"{path}: line {number}: no index of features, as extract_features writes it: {error}"
                ) from None


def _shared(value: Any) -> Any:
    return sys.intern(value) if isinstance(value, str) else value


def _map_shard(path: Path) -> dict[str, Tensor]:
    """A shard's tensors, mapped from the file and not read.

    Slices are taken by torch: of each that safetensors 0.8.0 takes, 64 bytes stay for good, a gigabyte in a long run.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: no shard of features, as extract_features writes it: {error}") from None


def find_shard(folder: Path, name: str) -> Path:
    """A shard that an index in `folder` names: there, or, for an index of a part of the features, elsewhere in data/.

    Raises:
        UserError: the name leads out of both.
    """
    path = Path(os.path.abspath(folder / name))
    if not os.path.isabs(name) and path.is_relative_to(Path("data").absolute()):
        return path
    return below(folder, name)


class FeatureSet:
    """The utterances of a features folder that pass a filter.

    Args:
        index: name of the folder's file that lists them.

    Raises:
        UserError: the index is no index of features.
    """

    def __init__(self, folder: Path, wanted: Callable[[Utterance], bool], index: str = INDEX_FILE):
        self.folder = folder
        self.by_id = {row.id: row for row in read_index(folder / index)}
        self.utterances = [row for row in self.by_id.values() if wanted(row)]
        self.peers: dict[str, list[Utterance]] = defaultdict(list)
        for row in self.utterances:
            self.peers[row.speaker].append(row)
        self._open = cache(lambda shard: _map_shard(find_shard(folder, shard)))

    def __len__(self) -> int:
        return len(self.utterances)

    def languages(self) -> set[str]:
        """Languages of the utterances."""
        return {row.language for row in self.utterances}

    def row(self, index: int) -> Row:
        """An utterance with its fixed prompt."""
        utterance = self.utterances[index]
        return self._row(utterance, self.by_id[utterance.prompt])

    def row_with_random_prompt(self, index: int, seed: str) -> Row:
        """An utterance with another one of its speaker; which one depends on `seed` and the utterance only."""
        utterance = self.utterances[index]
        peers = self.peers[utterance.speaker]
        if len(peers) == 1:
            return self.row(index)
        peer = peers[random.Random(f"{seed} {utterance.id}").randrange(len(peers) - 1)]
        return self._row(utterance, peer if peer is not utterance else peers[-1])

    def text(self, index: int) -> Tensor:
        """Token ids of an utterance, int64 [L]."""
        return self._slice(self.utterances[index], "text", "text_offsets")

    def _row(self, utterance: Utterance, prompt: Utterance) -> Row:
        shard = self._open(prompt.shard)
        conditioning = shard["voice"][prompt.place].float() + shard["emotion"][prompt.place].float()
        return Row(utterance.id, self._slice(utterance, "text", "text_offsets"),
                   self._slice(utterance, "codes", "code_offsets"), conditioning, utterance.role == "base")

    def _slice(self, utterance: Utterance, name: str, offsets: str) -> Tensor:
        shard = self._open(utterance.shard)
        start, end = shard[offsets][utterance.place : utterance.place + 2].tolist()
        return shard[name][start:end].long()
