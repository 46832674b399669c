"""Finished shards as one corpus: its entries, and the files of data/corpus."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.core.artifacts.files import json_line, link_or_copy, whole_file
from stages.core.artifacts.split import Split, split_of
from stages.core.params.shared import SplitsConfig
from stages.prepare_corpus.reading import Row
from stages.prepare_corpus.shards import Made, Shard, ShardStore
from stages.prepare_corpus.utterance import Utterance

NOT_IN_FILE_NAMES = re.compile(r"[^A-Za-z0-9._-]+")
FILE_NAME_CHARACTERS_MAX = 100


@dataclass(frozen=True)
class Entry:
    """A row of the corpus and what was made of it.

    Attributes:
        number: place in the corpus.
        index: place in its shard.
        split: of its text.
    """

    number: int
    shard: Shard
    index: int
    row: Row
    made: Made
    split: Split


@dataclass(frozen=True)
class Verdict:
    """Why a good row is left out of this corpus.

    Attributes:
        first: number of the entry that it repeats.
    """

    reason: str
    first: int | None = None


class Corpus:
    """All entries in order, read from the finished shards each time they are asked for."""

    def __init__(self, store: ShardStore, shards: Sequence[Shard], splits: SplitsConfig):
        self.store, self.shards, self.splits = store, shards, splits

    def __iter__(self) -> Iterator[Entry]:
        number = 0
        for shard in self.shards:
            for index, (row, made) in enumerate(zip(self.store.rows(shard), self.store.made(shard), strict=True)):
                yield Entry(number, shard, index, row, made, self._split(row, made))
                number += 1

    def _split(self, row: Row, made: Made) -> Split:
        """Known from the text that a span is cut from, else decided by the text itself: no growth moves a row."""
        if isinstance(row, Utterance) and row.split:
            return row.split
        shares = self.splits.validation_share, self.splits.test_share
        return split_of(made.text_normalised, self.splits.seed, *shares)

    def write(self, folder: Path, verdicts: Mapping[int, Verdict]) -> dict[str, Any]:
        """Write manifest, quarantine and audio; returns counts and hours."""
        totals = Totals()
        wanted = {verdict.first for verdict in verdicts.values()}
        names: dict[int | None, str] = {}
        with ExitStack() as files:
            manifest = files.enter_context(whole_file(folder / "manifest.jsonl"))
            quarantine = files.enter_context(whole_file(folder / "quarantine.jsonl"))
            for entry in self:
                verdict = verdicts.get(entry.number) or Verdict(entry.made.reason)
                if entry.number in wanted and isinstance(entry.row, Utterance):
                    names[entry.number] = entry.row.id
                if verdict.reason:
                    reason = verdict.reason + (f": {names[verdict.first]}" if verdict.first in names else "")
                    quarantine.write(json_line(quarantine_row(entry, reason)))
                    totals.quarantined[reason.partition(":")[0]] += 1
                else:
                    row = manifest_row(entry)
                    (folder / row["audio"]).parent.mkdir(parents=True, exist_ok=True)
                    link_or_copy(self.store.audio(entry.shard, entry.index), folder / row["audio"])
                    manifest.write(json_line(row))
                    totals.count(row)
        return totals.summary()


class Totals:
    """Counts of what is written."""

    def __init__(self) -> None:
        self.utterances = 0
        self.hours: Counter[str] = Counter()
        self.speakers: set[str] = set()
        self.quarantined: Counter[str] = Counter()

    def count(self, row: Mapping[str, Any]) -> None:
        """Add a row of the manifest."""
        self.utterances += 1
        self.hours[row["split"] if row["role"] == "target" else "base"] += row["duration_seconds"] / 3600
        self.speakers.add(row["speaker"])

    def summary(self) -> dict[str, Any]:
        """For summary.json."""
        return {
            "utterances": self.utterances,
            "hours": {split: round(hours, 4) for split, hours in sorted(self.hours.items())},
            "speakers": sorted(self.speakers), "quarantined": dict(self.quarantined.most_common()),
        }


def manifest_row(entry: Entry) -> dict[str, Any]:
    """What the manifest says of a good row."""
    row, made = entry.row, entry.made
    assert isinstance(row, Utterance)
    return {
        "id": row.id, "audio": audio_name(entry.shard.source, row.id), "text": row.text,
        "text_normalised": made.text_normalised, "language": row.language, "role": entry.shard.role,
        "source": entry.shard.source, "speaker": row.speaker, "split": entry.split,
        "duration_seconds": made.duration_seconds,
    }


def quarantine_row(entry: Entry, reason: str) -> dict[str, Any]:
    """What the quarantine says of a bad row."""
    named = {"id": entry.row.id} if isinstance(entry.row, Utterance) else {}
    return {"source": entry.shard.source, "where": entry.row.where, **named, "text": entry.row.text, "reason": reason}


def audio_name(source: str, identifier: str) -> str:
    """Path of an utterance's audio below data/corpus, in one of 256 folders that the id itself decides.

    An id that is no plain file name is made one, with a hash that keeps it apart from others.
    """
    digest = hashlib.sha256(identifier.encode()).hexdigest()
    plain = NOT_IN_FILE_NAMES.sub("_", identifier)[:FILE_NAME_CHARACTERS_MAX]
    return f"audio/{source}/{digest[:2]}/{plain if plain == identifier else f'{plain}-{digest[:10]}'}.flac"
