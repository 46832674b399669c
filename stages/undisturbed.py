"""A stage that DVC started, alone at its outputs and with inputs that stay as they are until it ends.

DVC hashes a stage's inputs when the stage has ended. An input that changed meanwhile, by a `git checkout` or an edit,
would go into dvc.lock and the run cache as what the outputs were made from. A stage further up that became stale
meanwhile would be mixed with what is made of it now. And a stage outlives a DVC that is killed: the next one must not
write beside it.

Like the runner this is no dependency of any stage: it decides whether a result counts. Of what a result is made it only
hands on DVC's hashes.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from stages.core.artifacts.files import checked_before_placing
from stages.core.errors import UserError
from stages.core.tracking.provenance import INPUTS, UNKNOWN

SCHEDULE, COMPARISON = PIPELINES = ("dvc.yaml", "compare/dvc.yaml")
LOCKS = Path(".pipeline/stages")
STARTED_BY_DVC = ("DVC_ROOT", "DVC_STAGE")
CODE = "stages/"


@contextmanager
def undisturbed() -> Iterator[None]:
    """Wait for an earlier process of the same stage, run the block, then see whether its inputs are what they were.

    The block, and what it starts, finds the hashes of its data in the environment. Does nothing where DVC did not start
    this process.

    Raises:
        UserError: a stage that this one builds upon is stale, or an input or a param of this one changed while the
            block ran; then no folder of its output takes its place.
    """
    if not all(name in os.environ for name in STARTED_BY_DVC):
        yield
        return
    stage = os.environ["DVC_STAGE"].rpartition(":")[2]
    with alone(stage):
        inputs = look_up(stage)
        if inputs.stale:
            raise UserError(f"{', '.join(inputs.stale)}: stale by now, so {stage} would mix old and new; run again")
        before = hashes(inputs.deps)
        os.environ[INPUTS] = json.dumps(inputs.data(before))

        def require_unchanged() -> None:
            changed = [name for name, value in hashes(inputs.deps).items() if value != before[name]]
            if changed:
                raise UserError(f"{', '.join(changed)}: changed while {stage} ran, so its outputs do not count; run "
                                "again")

        with checked_before_placing(require_unchanged):
            yield
        require_unchanged()


@contextmanager
def alone(stage: str) -> Iterator[None]:
    """Hold the stage's lock; the kernel frees it even after kill -9."""
    LOCKS.mkdir(parents=True, exist_ok=True)
    lock = FileLock(LOCKS / f"{stage}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"waiting for {stage}, which an earlier run left running", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@dataclass(frozen=True)
class Inputs:
    """DVC's view of a stage.

    Attributes:
        deps: DVC's own objects, params included.
        made: every output of the project -> its hash in dvc.lock.
        stale: stages further up whose inputs are not what their outputs were made from.
    """

    deps: list[Any]
    made: dict[str, str]
    stale: list[str]

    def data(self, known: dict[str, Any]) -> dict[str, str]:
        """Path -> hash of what the stage reads beside code and params; of a folder of several stages, by output."""
        found: dict[str, str] = {}
        for dep in self.deps:
            if not str(dep).startswith(CODE) and not hasattr(dep, "params"):
                within = {path: value for path, value in self.made.items() if path.startswith(f"{dep}/")}
                found |= within or {str(dep): getattr(known[str(dep)], "value", UNKNOWN)}
        return found


def look_up(name: str) -> Inputs:
    """Ask DVC, under its lock: dvc.lock is written in place by the DVC of any other stage that ends.

    Raises:
        UserError: the project's pipelines have no such stage any more.
    """
    from dvc.repo import Repo, lock_repo

    repo = Repo(".", _wait_for_lock=True)
    with lock_repo(repo):
        graph = repo.index.graph
        own = [stage for stage in graph if getattr(stage, "name", None) == name and stage.path_in_repo in PIPELINES]
        if not own:
            raise UserError(f"{' and '.join(PIPELINES)}: no stage {name} any more; run again")
        stale = [str(stage.addressing) for stage in upstream(graph, own[0]) if stage.changed_deps()]
        made = {str(out): out.hash_info.value for stage in graph for out in stage.outs if out.hash_info}
    return Inputs(list(own[0].deps), made, sorted(stale))


def upstream(graph: Any, stage: Any) -> set[Any]:
    """Give the stages whose outputs a stage reads, and all that those build upon."""
    found: set[Any] = set()
    waiting = [stage]
    while waiting:
        needed = set(graph.successors(waiting.pop())) - found
        found |= needed
        waiting += needed
    return found


def hashes(deps: list[Any]) -> dict[str, Any]:
    """Hash every input as DVC does; files that did not change since DVC hashed them are not read again."""
    return {str(dep): dep.get_hash() if dep.exists else None for dep in deps}
