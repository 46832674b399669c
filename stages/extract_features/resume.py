"""Finished shards of a run, kept outside every engine's outputs until the last one is there.

.resume/extract_features/<hash of all that the result depends on>/
    features-*.safetensors    a shard's tensors; none where nothing of it was kept
    features-*.json           its index lines and what was left out; written last, it says that the shard is whole
"""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from torch import Tensor

from stages.core.artifacts.files import (
    FileStates,
    checksum,
    file_states,
    link_or_copy,
    read_json,
    require_unchanged,
    write_json,
)
from stages.core.errors import UserError
from stages.core.training.features import write_shard

CONTENT = "sha256"


@dataclass(frozen=True)
class ShardLines:
    """What the index and the quarantine list of one shard."""

    index: list[dict[str, Any]]
    quarantine: list[dict[str, str]]


def run_key(settings: Sequence[Any], read: Iterable[Path], known_by_date: FileStates) -> str:
    """Hash of settings, of the bytes of small files, and of name, size and time of change of large ones."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, ensure_ascii=False).encode())
    for path in read:
        digest.update(f"\0{path}\0".encode() + path.read_bytes())
    for path, state in known_by_date.items():
        digest.update(f"\0{path}\0{state}".encode())
    return digest.hexdigest()[:16]


def content_hash(path: Path) -> str:
    """SHA-256 of a file; empty where there is none."""
    return checksum(path) if path.exists() else ""


class ShardStore:
    """The finished shards of one run.

    Args:
        root: `.resume/extract_features`.
        key: of `run_key`; another key sees none of these shards.
        known_by_date: what the key knows by date, as it was then.
    """

    def __init__(self, root: Path, key: str, known_by_date: FileStates):
        self.root, self.folder, self.known_by_date = root, root / key, known_by_date

    def lock(self) -> AbstractContextManager[Any]:
        """Hold this run's folder.

        Raises:
            UserError: another process holds it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            return FileLock(self.root / f"{self.folder.name}.lock").acquire(timeout=0)
        except Timeout:
            raise UserError(f"{self.folder}: another process extracts the same; wait for it or stop it") from None

    def load(self, name: str) -> ShardLines | None:
        """The lines of a finished shard, or None; a damaged one is named and made again.

        data/features and DVC's cache hold the same file by other names: what is damaged there is so here.
        """
        record = self.folder / f"{name}.json"
        if not record.is_file():
            return None
        kept = read_json(record)
        if kept.pop(CONTENT) != content_hash(self.folder / name):
            print(f"{self.folder / name}: damaged; made again", file=sys.stderr)
            return None
        return ShardLines(**kept)

    def save(self, name: str, kept: list[dict[str, Tensor]], lines: ShardLines, read: Iterable[Path]) -> None:
        """Write a shard atomically.

        Args:
            read: what it was made from.

        Raises:
            UserError: that is not what it was when the key was taken.
        """
        now = file_states(read)
        require_unchanged({path: self.known_by_date[path] for path in now}, now)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / name).unlink(missing_ok=True)
        if kept:
            scratch = self.folder / f"{name}.partial"
            write_shard(scratch, kept)
            os.replace(scratch, self.folder / name)
        write_json(self.folder / f"{name}.json", asdict(lines) | {CONTENT: content_hash(self.folder / name)})

    def hand_over(self, folder: Path) -> None:
        """Put the shards into the output; they stay here too, at no cost where the file system has hard links."""
        for path in sorted(self.folder.glob("*.safetensors")):
            link_or_copy(path, folder / path.name)

    def forget_others(self) -> None:
        """Drop the shards of other runs; this one's stay, for a kill before DVC has recorded the output."""
        for path in self.root.iterdir():
            if path.is_dir() and path != self.folder:
                shutil.rmtree(path, ignore_errors=True)
