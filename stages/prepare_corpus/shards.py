"""Shards of the corpus: rows as they are read now, and what was made of them, in this run or in an earlier one.

.resume/prepare_corpus/
    plan/<number>.json   the rows of a shard, as this run reads them
    <key>/               a finished shard; whoever has the same rows, files and settings finds it
        made.jsonl           what became of each row
        <index>.flac         audio of a row; data/corpus holds it by a second name
"""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import TypeAdapter

from stages.core.artifacts.files import write_jsonl
from stages.core.errors import UserError
from stages.prepare_corpus.reading import Row

ROWS = TypeAdapter(list[Row])


@dataclass(frozen=True)
class Shard:
    """A run of consecutive rows of one source.

    Attributes:
        number: place in the corpus.
        key: hash of all that decides what is made of the rows.
        rows: how many.
    """

    number: int
    key: str
    source: str
    role: str
    rows: int


@dataclass(frozen=True)
class Made:
    """What became of a row: audio, or a reason why not.

    Attributes:
        audio_hash: 64 bits of the FLAC file.
        reason: empty for a good row.
    """

    reason: str = ""
    text_normalised: str = ""
    duration_seconds: float = 0.0
    audio_hash: int = 0


class ShardStore:
    """The shards under one folder.

    Args:
        root: `.resume/prepare_corpus`.
    """

    def __init__(self, root: Path):
        self.root, self.plan = root, root / "plan"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder; what is half-done when it is taken or given back is removed.

        Raises:
            UserError: another process holds it.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        try:
            held = FileLock(self.root.with_suffix(".lock")).acquire(timeout=0)
        except Timeout:
            raise UserError(f"{self.root}: another process prepares a corpus; wait for it or stop it") from None
        with held:
            try:
                self._remove_unfinished()
                self.plan.mkdir()
                yield
            finally:
                self._remove_unfinished()

    def _remove_unfinished(self) -> None:
        for path in [self.plan, *self.root.glob("*.partial")]:
            shutil.rmtree(path, ignore_errors=True)

    def add(self, shard: Shard, rows: Sequence[Row]) -> None:
        """Write down the rows of a shard."""
        self._plan_file(shard).write_bytes(ROWS.dump_json(list(rows)))

    def rows(self, shard: Shard) -> list[Row]:
        """The rows of a shard, as this run read them."""
        return ROWS.validate_json(self._plan_file(shard).read_bytes())

    def is_made(self, shard: Shard) -> bool:
        """Whether the shard is finished."""
        return (self.root / shard.key).is_dir()

    def drop_damaged(self, shards: Iterable[Shard]) -> None:
        """Remove the finished shards whose files are not those that were made, so that they are made again.

        data/corpus and DVC's cache hold the same audio by other names: what is edited or damaged there is so here.
        """
        for shard in {shard.key: shard for shard in shards if self.is_made(shard)}.values():
            if not self._is_whole(shard):
                print(f"{self.root / shard.key}: damaged; made again", file=sys.stderr)
                shutil.rmtree(self.root / shard.key)

    def _is_whole(self, shard: Shard) -> bool:
        try:
            made = self.made(shard)
            return len(made) == shard.rows and all(
                audio_hash(self.audio(shard, index).read_bytes()) == one.audio_hash
                for index, one in enumerate(made) if not one.reason)
        except (OSError, ValueError, TypeError):
            return False

    def made(self, shard: Shard) -> list[Made]:
        """What became of the rows of a finished shard."""
        with open(self.root / shard.key / "made.jsonl", encoding="utf-8") as file:
            return [Made(**json.loads(line)) for line in file]

    def audio(self, shard: Shard, index: int) -> Path:
        """The audio of a good row of a finished shard."""
        return audio_file(self.root / shard.key, index)

    @contextmanager
    def making(self, shard: Shard) -> Iterator[tuple[Path, list[Made]]]:
        """Give a folder for audio and a list for what becomes of the rows; both are kept when the block ends well."""
        scratch, made = self.root / f"{shard.key}.{os.getpid()}.partial", list[Made]()
        scratch.mkdir()
        yield scratch, made
        write_jsonl(scratch / "made.jsonl", (asdict(one) for one in made))
        if not self.is_made(shard):
            os.rename(scratch, self.root / shard.key)

    def keep_only(self, shards: Sequence[Shard]) -> None:
        """Drop the shards that the finished corpus does not use."""
        used = {shard.key for shard in shards}
        for path in self.root.iterdir():
            if path != self.plan and path.name not in used:
                shutil.rmtree(path)

    def _plan_file(self, shard: Shard) -> Path:
        return self.plan / f"{shard.number:06d}.json"


def audio_file(folder: Path, index: int) -> Path:
    """Where a shard's folder holds the audio of a row."""
    return folder / f"{index:03d}.flac"


def audio_hash(content: bytes) -> int:
    """64 bits that tell an audio file from others."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big")
