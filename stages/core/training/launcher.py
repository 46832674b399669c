"""Trainings as child processes, which save and stop when their parent is asked to stop, and when it is killed."""

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1  # of prctl(2): Linux sends this process a signal when its parent dies
SIGNALS = (signal.SIGTERM, signal.SIGINT)
STATUS_FILE = "AMHARIC_STATUS_FILE"
SAVE_SECONDS = 300  # that processes have to save and end; torchrun's own 30 are few for a large model's state


def launch(processes: int, module: str, arguments: Sequence[str]) -> int:
    """Let torchrun start `processes` of `python -m module` on this machine.

    Returns:
        The exit status that the processes told last by `tell_status`; torchrun's own is 1 for all.
    """
    line = torchrun_line(processes, ("--standalone",), module, arguments)
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "status"
        with start(line, {STATUS_FILE: str(told)}) as child, passing_signals(child) as passed:
            status = child.wait()
        if status and told.is_file():
            return int(told.read_text(encoding="ascii"))
        if status and passed:
            return 128 + passed[0]
    return status if status >= 0 else 128 - status


def tell_status(status: int) -> int:
    """Tell `launch` the exit status with which one of its processes is about to fail; give it back."""
    if status and STATUS_FILE in os.environ:
        partial = Path(f"{os.environ[STATUS_FILE]}.{os.getpid()}")
        with suppress(OSError):
            partial.write_text(str(status), encoding="ascii")
            partial.rename(os.environ[STATUS_FILE])
    return status


def is_launched() -> bool:
    """Whether a launcher has started this process as one of several."""
    return "WORLD_SIZE" in os.environ


def torchrun_line(processes: int, where: Sequence[str], module: str, arguments: Sequence[str]) -> list[str]:
    """The command that starts `processes` of `python -m module` here; `where` says how they find others."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", *where, f"--nproc-per-node={processes}"]
    return [*torchrun, f"--shutdown-timeout={SAVE_SECONDS}", "-m", module, *arguments]


def start(command: Sequence[str], environment: Mapping[str, str], **options: Any) -> subprocess.Popen[str]:
    """Start a command that gets SIGTERM should this process be killed.

    It stands in a session of its own, so that a terminal's Ctrl-C reaches it through `passing_signals` alone.
    """
    # Looked up before the fork: after it, a lock of the loader that another thread held would never be freed.
    end_with_parent = partial(ctypes.CDLL(None).prctl, PR_SET_PDEATHSIG, signal.SIGTERM)
    return subprocess.Popen(command, env=os.environ | environment, text=True, encoding="utf-8",
                            preexec_fn=end_with_parent, start_new_session=True, **options)


@contextmanager
def passing_signals(child: subprocess.Popen[str]) -> Iterator[list[int]]:
    """Hand the first signal that asks to stop to a command; a second one would end it unsaved. Gives those met."""
    met: list[int] = []

    def hand(number: int, frame: object) -> None:
        if not met and child.poll() is None:
            child.send_signal(number)
        met.append(number)

    before = {number: signal.signal(number, hand) for number in SIGNALS}
    try:
        yield met
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
