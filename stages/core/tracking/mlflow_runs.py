"""One MLflow run for each execution of a stage, nested in one parent run for the schedule.

    with stage_run("finetune@lora", params, run_id=resumed) as run:
        run.log_metrics({"code_loss": 2.1}, step=tokens_seen)
        run.log_artifact(Path("figure.png"), "figures")
        run.parent.log_metrics({"phone_error_rate": 0.4}, step=0)

A stage that DVC restores from its run cache does not execute, and so has no run.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.core.errors import Interrupted
from stages.core.params.shared import TrackingConfig
from stages.core.params.strict import PARAMS_FILE, load_section, read_params
from stages.core.tracking.delivery import end_entry, metrics_entry
from stages.core.tracking.kept import try_to_send_kept
from stages.core.tracking.mlflow_store import (
    PARENT_TAG,
    SCHEDULE,
    UNRECORDED,
    Parent,
    end_lost_runs,
    open_store,
    parent_run,
    store_failures,
)
from stages.core.tracking.outbox import Nowhere, Outbox
from stages.core.tracking.provenance import INPUTS, data_hashes, git_commit

PARAM_CHARACTERS = 6000  # MLflow's limit of one value
NOT_FOUND = 404
STOP_SECONDS = 10.0  # a stopped run has half a minute under Slurm before it is killed


class StageRun:
    """The run of one execution. What it writes goes through an outbox, so nothing here waits or fails.

    Args:
        held: highest step of each metric that a resumed run already holds.
        parent: id of the run that this one is nested in.
    """

    def __init__(self, outbox: Outbox | Nowhere, run_id: str, held: Mapping[str, int] | None = None, parent: str = ""):
        self.id = run_id
        self._outbox, self._parent = outbox, parent
        self._held = held or {}

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Log values at a step; in a resumed run, steps that it already holds are left out.

        Args:
            metrics: name -> value.
            step: position on the axis that all runs share: tokens seen in training, 0 for one-off results.
        """
        points = [(name, float(value), step) for name, value in metrics.items() if step > self._held.get(name, -1)]
        if points:
            self._outbox.add(metrics_entry(self.id, points))

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Log a nested mapping under dotted names."""
        pairs = [[name, str(value)[:PARAM_CHARACTERS]] for name, value in flatten(params)]
        self._outbox.add({"do": "params", "run": self.id, "pairs": pairs})

    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        """Copy a file, or a folder's content, into the run's artifacts; it must stay in place until the run ends."""
        self._outbox.add({"do": "artifact", "run": self.id, "path": str(path), "folder": folder})

    def set_tag(self, name: str, value: str) -> None:
        """Set a tag of the run."""
        self._outbox.add({"do": "tag", "run": self.id, "name": name, "value": value})

    @property
    def parent(self) -> "StageRun":
        """The run that this one is nested in; what is written to it takes the same way."""
        return StageRun(self._outbox, self._parent)


@dataclass(frozen=True)
class Opened:
    """A store that was there when a stage began, and in it the run that the stage belongs to.

    Attributes:
        client: MLflow's.
        experiment, parent: ids.
    """

    tracking: TrackingConfig
    client: Any
    experiment: str
    parent: str


@contextmanager
def stage_run(
    stage: str, params: Mapping[str, Any], run_id: str | None = None, params_file: Path = PARAMS_FILE,
    parent_kind: Parent = SCHEDULE,
) -> Iterator[StageRun]:
    """Open the run of a stage's execution: FINISHED when the block ends, FAILED when it raises, KILLED by a signal.

    A store that is away when the block begins is an error; one that goes away later is not: what it misses is sent when
    it is back, by this stage or a later one.

    Args:
        stage: the run's name, such as finetune@lora.
        params: the stage's sections of the params file.
        run_id: the run that a resumed execution continues; one that the store does not hold is left aside.
        params_file: whose schedule the run belongs to.
        parent_kind: what the run is nested in.

    Raises:
        UserError: the store cannot be opened.
    """
    opened = open_parent(params_file, parent_kind)
    if opened is None:
        yield StageRun(Nowhere(), "")
        return
    with store_failures(opened.tracking):
        own, held = begin_run(opened, stage, run_id)
    outbox = Outbox(opened.client, opened.tracking.uri)
    run = StageRun(outbox, own, held, opened.parent)
    if held is None:
        run.log_params(params)
    run.set_tag("git_commit", git_commit())
    for path, digest in data_hashes().items():
        run.set_tag(f"dvc.{path}", digest)
    with telling_end(outbox, opened, [own]):
        yield run


@contextmanager
def whole_run(parent_kind: Parent = SCHEDULE) -> Iterator[StageRun]:
    """Open the run that others are nested in, for a stage that has none of its own; it ends as `stage_run` lets it end.

    Raises:
        UserError: the store cannot be opened.
    """
    opened = open_parent(PARAMS_FILE, parent_kind)
    if opened is None:
        yield StageRun(Nowhere(), "")
        return
    outbox = Outbox(opened.client, opened.tracking.uri)
    with telling_end(outbox, opened, []):
        yield StageRun(outbox, opened.parent)


def open_parent(params_file: Path, kind: Parent) -> Opened | None:
    """Open the store, send what is kept for it, and set the parent RUNNING; None where nothing is recorded.

    Raises:
        UserError: the store cannot be opened.
    """
    everything, tracking = read_params(params_file), load_section(TrackingConfig, "tracking", params_file)
    if tracking.uri == UNRECORDED:
        return None
    client, experiment = open_store(tracking)
    try_to_send_kept(client, tracking.uri)
    with store_failures(tracking):
        parent = parent_run(client, experiment, everything, kind)
        client.update_run(parent, status="RUNNING")
    return Opened(tracking, client, experiment, parent)


@contextmanager
def telling_end(outbox: Outbox, opened: Opened, own: list[str]) -> Iterator[None]:
    """Tell the store how the block ended: of its own runs, and of their parent, which no other stage may still use."""
    try:
        yield
    except BaseException as error:
        status = "KILLED" if isinstance(error, Interrupted | KeyboardInterrupt) else "FAILED"
        for ended in (*own, opened.parent):
            outbox.add(end_entry(ended, status))
        outbox.close(STOP_SECONDS)
        raise
    for ended in own:
        outbox.add(end_entry(ended, "FINISHED"))
    outbox.add({"do": "close", "run": opened.parent, "experiment": opened.experiment})
    outbox.close()


def begin_run(opened: Opened, stage: str, run_id: str | None) -> tuple[str, dict[str, int] | None]:
    """Set a stage's run RUNNING; give its id, and of one that goes on the highest step of every metric."""
    client, parent = opened.client, opened.parent
    if INPUTS in os.environ:
        end_lost_runs(client, opened.experiment, parent, stage)
    held = steps_held(client, run_id) if run_id else None
    if run_id and held is not None:
        client.update_run(run_id, status="RUNNING")
        return run_id, held
    return str(client.create_run(opened.experiment, tags={PARENT_TAG: parent}, run_name=stage).info.run_id), None


def steps_held(client: Any, run_id: str) -> dict[str, int] | None:
    """Give the highest step of every metric of a run; None where the store holds no such run, or a deleted one."""
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.get_http_status_code() != NOT_FOUND:
            raise
        return None
    if run.info.lifecycle_stage != "active":
        return None
    return {name: max(point.step for point in client.get_metric_history(run_id, name)) for name in run.data.metrics}


def flatten(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted name, value) of a nested mapping."""
    for key, value in content.items():
        name = f"{prefix}.{key}" if prefix else str(key)
        if isinstance(value, Mapping):
            yield from flatten(value, name)
        else:
            yield name, value
