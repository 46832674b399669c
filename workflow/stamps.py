"""Mirrors DVC's view of what is stale into the files that Snakemake looks at.

DVC alone decides what is stale. A stage that DVC calls clean has a stamp of one fixed age, a stale one has none, so
Snakemake plans exactly the stale stages and what depends on them. The mirror is drawn once, when the Snakefile is
parsed by the process that the user started, and never by the processes of its jobs.
"""

import fcntl
import json
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import psutil

from stages.core.errors import UserError
from stages.schema import check_params
from workflow.cache import drop_damaged

FOLDER = Path(".pipeline/stamps")
RUN_LOCK = Path(".pipeline/run.lock")
SNAKEMAKE_LOCKS = Path(".snakemake/locks")
DVC_STAGE_LOCKS = Path(".dvc/tmp/rwlock")
FIXED_TIME = 1_000_000_000  # seconds since the epoch; any moment before the project's own files will do
NOT_IN_CACHE = "not in cache"
CONFLICT = re.compile(r"^<{7} ", re.MULTILINE)
SCHEDULE, COMPARISON = "dvc.yaml", "compare/dvc.yaml"


def stamp_path(stage: str) -> str:
    """Give the stamp of a DVC stage, such as finetune@lora; may hold a Snakemake wildcard."""
    return f"{FOLDER.as_posix()}/{stage}"


def name_of(stage: Any) -> str:
    """Name a stage as the rules do, whichever dvc.yaml it stands in; what `dvc add` versions goes by its file."""
    return str(getattr(stage, "name", None) or stage.addressing)


def asked_pipelines(arguments: Sequence[str]) -> tuple[str, ...]:
    """Give the pipelines that a command line of Snakemake is about: to look at the comparison's many stages takes DVC
    seconds, which only those shall wait who name something of it.
    """
    return (SCHEDULE, COMPARISON) if any("compare" in argument for argument in arguments) else (SCHEDULE,)


class Stamps:
    """The stages of every dvc.yaml, what each needs, and their stamps."""

    def __init__(self, is_main_process: bool, pipelines: Sequence[str]):
        """Read the stage graph from DVC and, in the main process, draw the mirror.

        Args:
            pipelines: whose stages are mirrored; stamps of others are left as they are.

        Raises:
            UserError: wrong params, a merge that was not ended, or a missing source file.
        """
        if is_main_process:
            check_params()
            refuse_conflicts()
        from dvc.repo import Repo

        self._repo = Repo(".", _wait_for_lock=True)
        self._graph = self._repo.index.graph
        self._stages = {name_of(stage): stage for stage in self._graph}
        self._pipelines = {Path(pipeline) for pipeline in pipelines}
        if is_main_process:
            self._require_sources()
            self._lock = hold_run_lock()
            if self._lock:
                repair_stage_locks()
                self._mirror()

    def needed_by(self, stage: str) -> list[str]:
        """Give the stamps of the stages whose outputs a stage reads; what `dvc add` versions is made by none."""
        if stage not in self._stages:
            raise UserError(f"dvc.yaml: no stage {stage!r}; it has {', '.join(sorted(self._stages))}")
        needed = self._graph.successors(self._stages[stage])
        return sorted(stamp_path(name_of(other)) for other in needed if other.cmd)

    def address(self, stage: str) -> str:
        """Give a stage as DVC is to be asked for it."""
        return str(self._stages[stage].addressing)

    @property
    def pull_option(self) -> str:
        """Give DVC's option to look into the remote's run cache; without a remote it would only warn."""
        return "--pull" if self._repo.config["core"].get("remote") else ""

    def all(self, pipeline: str = SCHEDULE) -> list[str]:
        """Give the stamps of every stage of a dvc.yaml."""
        return sorted(stamp_path(name) for name, stage in self._stages.items()
                      if stage.cmd and Path(stage.path_in_repo) == Path(pipeline))

    def _require_sources(self) -> None:
        """Refuse to start while a file that no stage makes is missing."""
        made = [out.fs_path for stage in self._stages.values() for out in stage.outs]
        missing: dict[str, list[str]] = {}
        for name, stage in self._stages.items():
            for dep in stage.deps:
                if not dep.exists and not any(overlaps(dep.fs_path, path) for path in made):
                    missing.setdefault(str(dep), []).append(name)
        if missing:
            rule = "no such file or folder, needed by"
            raise UserError("; ".join(f"{path}: {rule} {', '.join(sorted(who))}" for path, who in missing.items()))

    def _mirror(self) -> None:
        """Give each clean stage its stamp and take it from each stale one."""
        drop_damaged(self._repo)
        mirrored = {name: stage for name, stage in self._stages.items()
                    if not stage.cmd or Path(stage.path_in_repo) in self._pipelines}
        told = self._status({stage.addressing for stage in mirrored.values()})
        status = {name: told[stage.addressing] for name, stage in mirrored.items() if stage.addressing in told}
        for name in [name for name, state in status.items() if lost_only_its_cache(state)]:
            if all(unchanged(out) for out in self._stages[name].outs):
                print(f"{name}: outputs are in place but not in DVC's cache; committing them", file=sys.stderr)
                self._repo.commit(self.address(name), force=True)
                del status[name]
        FOLDER.mkdir(parents=True, exist_ok=True)
        for path in FOLDER.iterdir():
            if path.name not in self._stages:
                path.unlink()
        for name in (name for name, stage in mirrored.items() if stage.cmd):
            path = Path(stamp_path(name))
            if name in status:
                path.unlink(missing_ok=True)
            else:
                path.touch()
                os.utime(path, (FIXED_TIME, FIXED_TIME))

    def _status(self, addresses: set[str]) -> dict[str, Any]:
        """Ask DVC what changed of each stage, from files read once: its `status` reads them anew for every target."""
        from dvc.repo import lock_repo

        with lock_repo(self._repo):
            stages = [stage for stage in self._repo.index.stages if stage.addressing in addresses]
            return {address: state for stage in stages for address, state in stage.status().items()}


def refuse_conflicts() -> None:
    """Name a file of DVC's that holds the conflict markers of a merge.

    Raises:
        UserError: one does.
    """
    for pipeline in map(Path, (SCHEDULE, COMPARISON)):
        for path in (pipeline, pipeline.with_suffix(".lock")):
            if path.exists() and CONFLICT.search(path.read_text(encoding="utf-8")):
                raise UserError(f"{path}: holds conflict markers of a merge; take either side whole, such as by "
                                f"`git checkout --ours {path}`: what the outputs are not made from then runs")


def overlaps(one: str, other: str) -> bool:
    """Tell whether two paths are equal or one lies within the other."""
    return Path(one) == Path(other) or Path(one) in Path(other).parents or Path(other) in Path(one).parents


def lost_only_its_cache(state: list[Any]) -> bool:
    """Tell whether all that DVC misses of a stage is the cached copy of its outputs."""
    return bool(state) and all(
        isinstance(entry, dict)
        and set(entry) == {"changed outs"}
        and set(entry["changed outs"].values()) == {NOT_IN_CACHE}
        for entry in state
    )


def unchanged(out: Any) -> bool:
    """Tell whether an output in the working tree is what DVC recorded; DVC reports a lost cache before it looks."""
    return bool(out.exists and out.get_hash() == out.hash_info)


def hold_run_lock(poll_seconds: float = 0.2) -> IO[str] | None:
    """Take the lock of this working tree for the life of the process; the kernel frees it even after kill -9.

    Whoever holds it knows that Snakemake's own locks are left-overs of a killed run, and removes them. Where a living
    run has locked the tree nothing is taken: Snakemake then refuses to run, but still shows plans and graphs.
    """
    RUN_LOCK.parent.mkdir(exist_ok=True)
    file = open(RUN_LOCK, "a+", encoding="ascii")  # noqa: SIM115 - held until the process ends
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if any(SNAKEMAKE_LOCKS.glob("*")):
                print("another snakemake is running here: its stamps are shown as they are", file=sys.stderr)
                return None
            time.sleep(poll_seconds)
            continue
        for stale in SNAKEMAKE_LOCKS.glob("*"):
            stale.unlink()
        return file


def repair_stage_locks(poll_seconds: float = 1.0) -> None:
    """Wait for stages that an earlier, killed run left running.

    A lock file that a kill left cut short is dropped, and one with the number of a process that is another one's by
    now: DVC itself would refuse the stage for as long as that one lives.
    """
    told: set[int] = set()
    while True:
        try:
            holders = {process: command for process, command in lock_holders(DVC_STAGE_LOCKS).items()
                       if psutil.pid_exists(process)}
        except ValueError:
            DVC_STAGE_LOCKS.unlink(missing_ok=True)
            return
        alive = {process for process, command in holders.items() if runs(process, command)}
        if not alive:
            if holders:
                DVC_STAGE_LOCKS.unlink(missing_ok=True)
            return
        if alive - told:
            print(f"waiting for a stage left running by an earlier run: process {sorted(alive)}", file=sys.stderr)
            told |= alive
        time.sleep(poll_seconds)


def runs(process: int, command: str) -> bool:
    """Tell whether a process is the command that wrote its number; one that may not be looked at counts as such.

    The command's first word may be a path, of the script or of the module that `python -m` ran.
    """
    try:
        return command.partition(" ")[2] in " ".join(psutil.Process(process).cmdline())
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def lock_holders(path: Path) -> dict[int, str]:
    """Give the processes that DVC's read-write lock file names, each with its command.

    Raises:
        ValueError: the file is cut short.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    readers = [entry for entries in content.get("read", {}).values() for entry in entries]
    return {int(entry["pid"]): str(entry["cmd"]) for entry in [*content.get("write", {}).values(), *readers]}
