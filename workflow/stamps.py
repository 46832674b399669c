"""Mirrors DVC's view of what is stale into the files that Snakemake looks at.

DVC alone decides what is stale. A stage that DVC calls clean has a stamp of one fixed age, a stale one has none, so
Snakemake plans exactly the stale stages and what depends on them. The mirror is drawn once, when the Snakefile is
parsed by the process that the user started, and never by the processes of its jobs.
"""

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stages.core.errors import UserError
from stages.schema import check_params
from stages.undisturbed import PIPELINES, SCHEDULE
from workflow.cache import drop_damaged
from workflow.locks import hold_run_lock, repair_stage_locks, set_aside_cut_lock_files

FOLDER = Path(".pipeline/stamps")
FIXED_TIME = 1_000_000_000  # seconds since the epoch; any moment before the project's own files will do
NOT_IN_CACHE = "not in cache"
CONFLICT = re.compile(r"^<{7} ", re.MULTILINE)
LOCK_FILES = [Path(pipeline).with_suffix(".lock") for pipeline in PIPELINES]
RECORDINGS = Path("data/recordings")
SHORT_DRY_RUN = re.compile(r"-[pkfFq]*n[pkfFq]*")
TELLING = {"--dry-run", "--dryrun", "--dag", "--rulegraph", "--filegraph", "--d3dag", "--summary", "-S",
           "--detailed-summary", "-D", "--list-rules", "--list", "-l", "--list-target-rules", "--lt", "--report"}


def stamp_path(stage: str) -> str:
    """Give the stamp of a DVC stage, such as finetune@lora; may hold a Snakemake wildcard."""
    return f"{FOLDER.as_posix()}/{stage}"


def name_of(stage: Any) -> str:
    """Name a stage as the rules do, whichever dvc.yaml it stands in; what `dvc add` versions goes by its file."""
    return str(getattr(stage, "name", None) or stage.addressing)


def is_ours(stage: Any) -> bool:
    """Tell a stage of the project, or data that `dvc add` versions, from the stage of a dvc.yaml that a user added."""
    return not stage.cmd or stage.path_in_repo in PIPELINES


def asked_pipelines(arguments: Sequence[str]) -> tuple[str, ...]:
    """Give the pipelines that a command line of Snakemake is about: to look at the comparison's many stages takes DVC
    seconds, which only those shall wait who name something of it.
    """
    return PIPELINES if any("compare" in argument for argument in arguments) else (SCHEDULE,)


def only_tells(arguments: Sequence[str]) -> bool:
    """Tell whether a command line of Snakemake asks for a plan, a graph or a list, and for nothing to be done."""
    return "--report-after-run" not in arguments and any(
        argument.partition("=")[0] in TELLING or SHORT_DRY_RUN.fullmatch(argument) for argument in arguments)


class Stamps:
    """The stages of every dvc.yaml, what each needs, and their stamps."""

    def __init__(self, is_main_process: bool, pipelines: Sequence[str]):
        """Read the stage graph from DVC and, in the main process, draw the mirror.

        Where Snakemake is asked for a plan or a graph alone, nothing of DVC's is mended, and nothing waited for.

        Args:
            pipelines: whose stages are mirrored; stamps of others are left as they are.

        Raises:
            UserError: wrong params, a merge that was not ended, a file that DVC cannot read, or a missing source file.
        """
        if is_main_process:
            check_params()
            refuse_conflicts()
        from dvc.repo import Repo

        self._repo = Repo(".", _wait_for_lock=True)
        mends, alone = not only_tells(sys.argv[1:]), False
        self._lock = hold_run_lock(waits=mends) if is_main_process else None
        if self._lock:
            alone = repair_stage_locks(self._repo.config["core"].get("hardlink_lock", False), waits=mends)
        if self._lock and mends:
            set_aside_cut_lock_files(self._repo, LOCK_FILES)
        self._graph = self._read_graph()
        self._stages = {name_of(stage): stage for stage in self._graph if is_ours(stage)}
        self._pipelines = {Path(pipeline) for pipeline in pipelines}
        if is_main_process:
            self._require_sources()
        if alone:
            self._mirror(mends)

    def needed_by(self, stage: str) -> list[str]:
        """Give the stamps of the stages whose outputs a stage reads; what `dvc add` versions is made by none."""
        if stage not in self._stages:
            raise UserError(f"dvc.yaml: no stage {stage!r}; it has {', '.join(sorted(self._stages))}")
        needed = self._graph.successors(self._stages[stage])
        return sorted(stamp_path(name_of(other)) for other in needed if other.cmd and is_ours(other))

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

    def _read_graph(self) -> Any:
        """Ask DVC for the stages, under its lock: a stage that ends has its dvc.lock written anew, in place."""
        from dvc.exceptions import DvcException
        from dvc.repo import lock_repo

        with lock_repo(self._repo):
            try:
                return self._repo.index.graph
            except DvcException as error:
                raise UserError(" ".join(str(error).split())) from error

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

    def _mirror(self, mends: bool) -> None:
        """Give each clean stage its stamp and take it from each stale one; mend DVC's cache first, if so."""
        if mends:
            drop_damaged(self._repo)
        mirrored = {name: stage for name, stage in self._stages.items()
                    if not stage.cmd or Path(stage.path_in_repo) in self._pipelines}
        told = self._status({stage.addressing for stage in mirrored.values()})
        status = {name: told[stage.addressing] for name, stage in mirrored.items() if stage.addressing in told}
        for name in [name for name, state in status.items() if lost_only_its_cache(state)]:
            if all(unchanged(out) for out in self._stages[name].outs):
                if mends:
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
    for path in (*map(Path, PIPELINES), *LOCK_FILES, *sorted(RECORDINGS.glob("*.dvc"))):
        if path.exists() and CONFLICT.search(path.read_text(encoding="utf-8", errors="replace")):
            then = (f"then `dvc checkout {path}`" if path.parent == RECORDINGS
                    else "what the outputs are not made from then runs")
            raise UserError(f"{path}: holds conflict markers of a merge; take either side whole, such as by "
                            f"`git checkout --ours {path}`: {then}")


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
