"""What tests need that start processes: the environment of one thread, a free port, waiting for what they do."""

import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def threads_of(count: int) -> dict[str, str]:
    """An environment in which the project's commands compute with so many threads: another number rounds otherwise."""
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(count)}


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def wait_for(true: Callable[[], Any], seconds: float = 60, every_seconds: float = 0.05,
             process: subprocess.Popen | None = None, said: Callable[[], str] = str) -> Any:
    """What `true` gives as soon as it is true.

    Args:
        process: it must not end before.
        said: what to tell where it ended, or the time did.
    """
    end = time.monotonic() + seconds
    while not (found := true()):
        assert process is None or process.poll() is None, f"the process ended too early: {said()}"
        assert time.monotonic() < end, f"not within {seconds} s: {said()}"
        time.sleep(every_seconds)
    return found


def saved_step(folder: Path, phase: str = "full") -> int:
    """The last step that the training of a phase has saved; -1 before the first."""
    states = sorted((folder / ".resume").glob(f"finetune@{phase}/*/state-*.safetensors"))
    return int(states[-1].stem.removeprefix("state-")) if states else -1
