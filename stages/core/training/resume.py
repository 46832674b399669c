"""Saved training state, outside every engine's outputs: `.resume/<stage>/<hash of all that the result depends on>/`."""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from stages.core.artifacts.files import file_states, require_unchanged
from stages.core.errors import UserError, one_line
from stages.core.training.launcher import SAVE_SECONDS

Snapshot = tuple[dict[str, Tensor], dict[str, Any]]


def fingerprint(params: Any, inputs: list[Path]) -> str:
    """Hash of parameters and of the bytes of every input file (folders are walked), wherever the inputs lie."""
    digest = hashlib.sha256(json.dumps(params, sort_keys=True, ensure_ascii=False).encode())
    for root in inputs:
        for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
            if path.is_file():
                digest.update(str(path.relative_to(root.parent)).encode())
                with open(path, "rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


class ResumeStore:
    """The last saved states of one run, and its best weights: safetensors files with JSON in the header.

    Args:
        folder: `.resume/<stage>/<fingerprint>`.
        keep: how many states stay.
        inputs: files and folders that are read until the run ends; what comes of others is not this run's.
    """

    def __init__(self, folder: Path, keep: int = 1, inputs: Sequence[Path] = ()):
        self.folder, self.keep, self.inputs = folder, keep, inputs
        self._began_with = file_states(inputs)
        self.best_path = folder / "best.safetensors"

    def lock(self) -> AbstractContextManager[Any]:
        """Hold this run's folder, so that no second process trains the same.

        One whose launcher was killed is waited for while it saves and ends.

        Raises:
            UserError: another process holds it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        held = self._hold(FileLock(self.folder / "lock"))
        for cut_off in [*self.folder.glob("*.partial"), *self.folder.glob(".tmp*")]:  # the latter are safetensors' own
            cut_off.unlink()
        return held

    def _hold(self, lock: FileLock) -> AbstractContextManager[Any]:
        with suppress(Timeout):
            return lock.acquire(timeout=0)
        print(f"waiting for another process that trains {self.folder}, should it be about to end", file=sys.stderr)
        try:
            return lock.acquire(timeout=SAVE_SECONDS)
        except Timeout:
            raise UserError(f"{self.folder}: another process is training this; wait for it or stop it") from None

    def save(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Add a state, named by its step, and drop the oldest beyond `keep`.

        Raises:
            UserError: an input is not what it was when the run began.
        """
        require_unchanged(self._began_with, file_states(self.inputs))
        self._write(self.folder / f"state-{state['step']:09d}.safetensors", tensors, state)
        for path in self.states()[: -self.keep]:
            path.unlink()

    def save_best(self, tensors: dict[str, Tensor]) -> None:
        """Replace the best weights."""
        self._write(self.best_path, tensors, {})

    def load(self) -> Snapshot | None:
        """The newest state that can be read, or None; a damaged one is named and passed over."""
        for path in reversed(self.states()):
            try:
                return _read(path)
            except (SafetensorError, KeyError, ValueError) as error:
                print(f"{path}: damaged, an older state is taken: {one_line(error)}", file=sys.stderr)
        return None

    def peek(self) -> dict[str, Any] | None:
        """The newest state without its tensors, or None."""
        for path in reversed(self.states()):
            try:
                return _read_header(path)
            except (SafetensorError, KeyError, ValueError):
                continue
        return None

    def load_best(self) -> dict[str, Tensor]:
        """The best weights.

        Raises:
            UserError: they cannot be read.
        """
        try:
            return _read(self.best_path)[0]
        except (SafetensorError, KeyError, ValueError) as error:
            reason = f"damaged ({one_line(error)}); remove {self.folder} to train anew"
            raise UserError(f"{self.best_path}: {reason}") from None

    def states(self) -> list[Path]:
        """Files of the saved states, the newest last."""
        return sorted(self.folder.glob("state-*.safetensors"))

    def prune_siblings(self) -> None:
        """Forget the states of other settings and inputs, the newest of them and those of living runs excepted.

        This run's own state stays, even finished: it is what a kill between training and the engine's commit needs.
        """
        others = {}
        for path in self.folder.parent.glob("*/state-*.safetensors"):
            with suppress(FileNotFoundError):
                others[path.parent] = path.stat().st_mtime
        others.pop(self.folder, None)
        for folder in sorted(others, key=lambda folder: others[folder])[:-1]:
            with suppress(Timeout), FileLock(folder / "lock", timeout=0):
                shutil.rmtree(folder, ignore_errors=True)

    def _write(self, path: Path, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Write atomically and durably."""
        self.folder.mkdir(parents=True, exist_ok=True)
        scratch = path.with_suffix(".partial")
        held = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        save_file(held, scratch, metadata={"state": json.dumps(state)})
        with open(scratch, "rb") as file:
            os.fsync(file.fileno())
        os.replace(scratch, path)


def _read_header(path: Path) -> dict[str, Any]:
    with safe_open(path, "pt") as file:
        return dict(json.loads(file.metadata()["state"]))


def _read(path: Path) -> Snapshot:
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return tensors, json.loads(file.metadata()["state"])
