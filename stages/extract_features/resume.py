"""Finished shards of a run, kept outside every engine's outputs until the last one is there.

.resume/extract_features/<hash of all that the result depends on>/
    features-*.safetensors    a shard's tensors; none where nothing of it was kept
    features-*.json           its index lines and what was left out; written last, it says that the shard is whole
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from torch import Tensor

from stages.core.artifacts.files import link_or_copy, read_json, write_json
from stages.core.errors import UserError
from stages.core.training.features import write_shard


@dataclass(frozen=True)
class ShardLines:
    """What the index and the quarantine list of one shard."""

    index: list[dict[str, Any]]
    quarantine: list[dict[str, str]]


def run_key(settings: Sequence[Any], read: Iterable[Path], known_by_date: Iterable[Path]) -> str:
    """Hash of settings, of the bytes of small files, and of name, size and time of change of large ones."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, ensure_ascii=False).encode())
    for path in read:
        digest.update(f"\0{path}\0".encode() + path.read_bytes())
    for path in known_by_date:
        if path.is_file():
            state = path.stat()
            digest.update(f"\0{path}\0{state.st_size}\0{state.st_mtime_ns}".encode())
    return digest.hexdigest()[:16]


class ShardStore:
    """The finished shards of one run.

    Args:
        root: `.resume/extract_features`.
        key: of `run_key`; another key sees none of these shards.
    """

    def __init__(self, root: Path, key: str):
        self.root, self.folder = root, root / key

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
        """The lines of a finished shard, or None."""
        record = self.folder / f"{name}.json"
        return ShardLines(**read_json(record)) if record.is_file() else None

    def save(self, name: str, kept: list[dict[str, Tensor]], lines: ShardLines) -> None:
        """Write a shard atomically."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if kept:
            scratch = self.folder / f"{name}.partial"
            write_shard(scratch, kept)
            os.replace(scratch, self.folder / name)
        write_json(self.folder / f"{name}.json", asdict(lines))

    def hand_over(self, folder: Path) -> None:
        """Put the shards into the output; they stay here too, at no cost where the file system has hard links."""
        for path in sorted(self.folder.glob("*.safetensors")):
            link_or_copy(path, folder / path.name)

    def forget(self) -> None:
        """Drop the shards of this run, which is done, and of others that were never finished."""
        shutil.rmtree(self.root, ignore_errors=True)
