"""Saved training state, outside every engine's outputs: `.resume/<stage>/<hash of all that the result depends on>/`."""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from stages.core.errors import UserError

Snapshot = tuple[dict[str, Tensor], dict[str, Any]]


def fingerprint(params: Any, inputs: list[Path]) -> str:
    """Hash of parameters and of the bytes of every input file (folders are walked)."""
    digest = hashlib.sha256(json.dumps(params, sort_keys=True, ensure_ascii=False).encode())
    for root in inputs:
        for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
            if path.is_file():
                digest.update(str(path).encode())
                with open(path, "rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


class ResumeStore:
    """The last saved state of one run: tensors, and JSON in the header, in one safetensors file.

    Args:
        folder: `.resume/<stage>/<fingerprint>`.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.path = folder / "state.safetensors"
        self.saved_at = time.monotonic()

    def lock(self) -> AbstractContextManager[Any]:
        """Hold this run's folder, so that no second process trains the same.

        Raises:
            UserError: another process holds it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / "lock")
        try:
            return lock.acquire(timeout=0)
        except Timeout:
            raise UserError(f"{self.folder}: another process is training this; wait for it or stop it") from None

    def save_when_due(self, snapshot: Callable[[], Snapshot], every_seconds: float) -> None:
        """Save if `every_seconds` have passed since the last time."""
        if time.monotonic() - self.saved_at >= every_seconds:
            self.save(*snapshot())

    def save(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Replace the saved state atomically."""
        self.folder.mkdir(parents=True, exist_ok=True)
        scratch = self.path.with_suffix(".partial")
        contiguous = {name: value.contiguous() for name, value in tensors.items()}
        save_file(contiguous, scratch, metadata={"state": json.dumps(state)})
        with open(scratch, "rb") as file:
            os.fsync(file.fileno())
        os.replace(scratch, self.path)
        self.saved_at = time.monotonic()

    def load(self) -> Snapshot | None:
        """The saved tensors and state, or None."""
        if not self.path.is_file():
            return None
        with safe_open(self.path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, json.loads(file.metadata()["state"])

    def prune_siblings(self) -> None:
        """Forget the states of other settings and inputs, the newest of them excepted.

        This run's own state stays, even finished: it is what a kill between training and the engine's commit needs.
        """
        others = [path for path in self.folder.parent.glob("*/state.safetensors") if path.parent != self.folder]
        for path in sorted(others, key=lambda path: path.stat().st_mtime)[:-1]:
            shutil.rmtree(path.parent, ignore_errors=True)
