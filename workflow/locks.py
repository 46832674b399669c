"""Locks of the working tree, and what a kill leaves of them and of the files that DVC writes in place.

python -m workflow.locks    drop the list of locks that a kill of DVC left cut short; exit status 0 if there was one
"""

import fcntl
import json
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import psutil

from stages.core.errors import UserError
from stages.undisturbed import LOCKS as STAGE_LOCKS

RUN_LOCK = Path(".pipeline/run.lock")
SNAKEMAKE_LOCKS = Path(".snakemake/locks")
DVC_STAGE_LOCKS = Path(".dvc/tmp/rwlock")
JOBS_LOCK = Path(".pipeline/jobs.lock")
ASIDE = Path(".pipeline/damaged")


def hold_run_lock(waits: bool = True, poll_seconds: float = 0.2) -> IO[str] | None:
    """Take the lock of this working tree for the life of the process; the kernel frees it even after kill -9.

    Whoever holds it knows that Snakemake's own locks are left-overs of a killed run, and removes them. Where a living
    run has locked the tree nothing is taken: Snakemake then refuses to run, but still shows plans and graphs.

    Args:
        waits: for a run that has not locked the tree yet; or take nothing then either.

    Raises:
        UserError: the folder cannot be written, or the file system takes no locks.
    """
    try:
        RUN_LOCK.parent.mkdir(exist_ok=True)
        file = open(RUN_LOCK, "a+", encoding="ascii")  # noqa: SIM115 - held until the process ends
    except OSError as error:
        raise UserError(f"{RUN_LOCK}: {error.strerror}; a run writes into the project's folder") from error
    told = False
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not waits or any(SNAKEMAKE_LOCKS.glob("*")):
                print("another snakemake is running here: its stamps are shown as they are", file=sys.stderr)
                return None
            if not told:
                print(f"waiting for another snakemake, which holds {RUN_LOCK}", file=sys.stderr, flush=True)
            told = True
            time.sleep(poll_seconds)
            continue
        except OSError as error:
            raise UserError(f"{RUN_LOCK}: cannot be locked: {error.strerror}; the project must lie on a file system "
                            f"with flock") from error
        for stale in SNAKEMAKE_LOCKS.glob("*"):
            stale.unlink()
        return file


def repair_stage_locks(hardlink: bool = False, waits: bool = True, poll_seconds: float = 1.0) -> bool:
    """Wait for stages that an earlier, killed run left running, and for jobs of it that would start one.

    Args:
        hardlink: whether DVC guards its lock file by hard links, as its `core.hardlink_lock` says.
        waits: or only look.

    Returns:
        Whether none runs any more.
    """
    told: set[str] = set()
    while True:
        alive = {*processes_of_dvc(hardlink), *held_locks([JOBS_LOCK, *sorted(STAGE_LOCKS.glob("*.lock"))])}
        if not alive:
            return True
        named = ", ".join(sorted(alive))
        if not waits:
            print(f"a stage left running by an earlier run, {named}: stamps are shown as they are", file=sys.stderr)
            return False
        if alive - told:
            print(f"waiting for a stage left running by an earlier run: {named}", file=sys.stderr)
            told |= alive
        time.sleep(poll_seconds)


def held_locks(paths: Iterable[Path]) -> list[str]:
    """Give the files that a living process has locked."""
    held = []
    for path in paths:
        if path.exists():
            with open(path, "a+", encoding="ascii") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    held.append(str(path))
    return held


def processes_of_dvc(hardlink: bool = False) -> list[str]:
    """Give the processes that DVC's lock file names and that live.

    A lock file that a kill left cut short is dropped, and one with the number of a process that is another one's by
    now: DVC itself would refuse the stage for as long as that one lives.
    """
    if not DVC_STAGE_LOCKS.exists():
        return []
    with guard_of_stage_locks(hardlink):
        try:
            holders = {process: command for process, command in lock_holders(DVC_STAGE_LOCKS).items()
                       if psutil.pid_exists(process)}
        except ValueError:
            DVC_STAGE_LOCKS.unlink(missing_ok=True)
            return []
        alive = [process for process, command in holders.items() if runs(process, command)]
        if holders and not alive:
            DVC_STAGE_LOCKS.unlink(missing_ok=True)
    return [f"process {process}" for process in sorted(alive)]


def guard_of_stage_locks(hardlink: bool) -> Any:
    """Give what DVC itself holds while it reads or writes the file."""
    from dvc.lock import make_lock

    folder = str(DVC_STAGE_LOCKS.parent)
    return make_lock(f"{DVC_STAGE_LOCKS}.lock", tmp_dir=folder, hardlink_lock=hardlink, wait=True)


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


def set_aside_cut_lock_files(repo: Any, paths: Iterable[Path]) -> None:
    """Move away a dvc.lock that DVC cannot read, as one is whose DVC was killed while it wrote.

    What it recorded is in DVC's run cache too, from where the next run takes the results.

    Args:
        repo: DVC's.
        paths: of the lock files.
    """
    from dvc.dvcfile import Lockfile
    from dvc.repo import lock_repo
    from dvc.utils.serialize import EncodingError
    from dvc.utils.strictyaml import YAMLSyntaxError, YAMLValidationError

    for path in paths:
        with lock_repo(repo):
            try:
                Lockfile(repo, str(path)).load()
            except (EncodingError, YAMLSyntaxError, YAMLValidationError):
                aside = ASIDE / str(path).replace("/", "-")
                ASIDE.mkdir(parents=True, exist_ok=True)
                os.replace(path, aside)
                print(f"{path}: DVC cannot read it, as after a kill; moved to {aside}: results are taken from the run "
                      f"cache", file=sys.stderr)


def main() -> int:
    """Drop the list if it cannot be read: until then every DVC refuses to run a stage."""
    from dvc.repo import Repo

    was_there = DVC_STAGE_LOCKS.exists()
    processes_of_dvc(Repo(".").config["core"].get("hardlink_lock", False))
    dropped = was_there and not DVC_STAGE_LOCKS.exists()
    if dropped:
        print(f"{DVC_STAGE_LOCKS}: left by a kill; dropped", file=sys.stderr)
    return 0 if dropped else 1


if __name__ == "__main__":
    sys.exit(main())
