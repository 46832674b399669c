"""A stage that DVC started, alone at its outputs and with inputs that stay as they are until it ends.

DVC hashes a stage's inputs when the stage has ended. An input that changed meanwhile, by a `git checkout` or an edit,
would go into dvc.lock and the run cache as what the outputs were made from. And a stage outlives a DVC that is killed:
the next one must not write beside it.

Like the runner this is no dependency of any stage: it decides whether a result counts, never what it is.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from stages.core.errors import UserError

LOCKS = Path(".pipeline/stages")
STARTED_BY_DVC = ("DVC_ROOT", "DVC_STAGE")


@contextmanager
def undisturbed() -> Iterator[None]:
    """Wait for an earlier process of the same stage, run the block, then see whether its inputs are what they were.

    Does nothing where DVC did not start this process.

    Raises:
        UserError: an input or a param of the stage changed while the block ran.
    """
    if not all(name in os.environ for name in STARTED_BY_DVC):
        yield
        return
    address = os.environ["DVC_STAGE"]
    with alone(address):
        deps = stage_deps(address)
        before = hashes(deps)
        yield
        changed = [name for name, value in hashes(deps).items() if value != before[name]]
    if changed:
        raise UserError(f"{', '.join(changed)}: changed while {address} ran, so its outputs do not count; run again")


@contextmanager
def alone(address: str) -> Iterator[None]:
    """Hold the stage's lock; the kernel frees it even after kill -9."""
    LOCKS.mkdir(parents=True, exist_ok=True)
    lock = FileLock(LOCKS / f"{address.replace('/', '-')}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"waiting for {address}, which an earlier run left running", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def stage_deps(address: str) -> list[Any]:
    """Give DVC's own view of what a stage depends on, params included."""
    from dvc.repo import Repo

    [stage] = Repo(".").stage.collect(address)
    return list(stage.deps)


def hashes(deps: list[Any]) -> dict[str, Any]:
    """Hash every input as DVC does; files that did not change since DVC hashed them are not read again."""
    return {str(dep): dep.get_hash() if dep.exists else None for dep in deps}
