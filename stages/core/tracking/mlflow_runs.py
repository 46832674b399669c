"""One MLflow run for each execution of a stage, nested in one parent run for the schedule.

    with stage_run("finetune@lora", params, run_id=resumed) as run:
        run.log_metrics({"code_loss": 2.1}, step=tokens_seen)
        run.log_artifact(Path("figure.png"), "figures")

A stage that DVC restores from its run cache does not execute, and so has no run.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from stages.core.errors import Interrupted
from stages.core.params.shared import TrackingConfig
from stages.core.params.strict import PARAMS_FILE, load_section, read_params
from stages.core.tracking.mlflow_store import (
    PARENT_TAG,
    SCHEDULE,
    UNRECORDED,
    Parent,
    open_store,
    parent_run,
    store_failures,
)
from stages.core.tracking.provenance import data_hashes, git_commit

FLUSH_ENTRIES = 200
FLUSH_SECONDS = 5.0
BATCH_METRICS, BATCH_PARAMS = 1000, 100  # MLflow's limits of one log_batch
PARAM_CHARACTERS = 6000  # MLflow's limit of one value


class StageRun:
    """The run of one execution. Metrics are gathered and written in batches."""

    def __init__(self, client: Any, run_id: str, resumed: bool = False, parent: str = ""):
        self.id = run_id
        self._client, self._parent = client, parent
        self._resumed = resumed
        self._logged: dict[str, int] = {}
        self._waiting: list[Any] = []
        self._flushed = time.monotonic()

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Log values at a step; in a resumed run, steps that it already holds are left out.

        Args:
            metrics: name -> value.
            step: position on the axis that all runs share: tokens seen in training, 0 for one-off results.
        """
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        for name, value in metrics.items():
            if self._resumed and name not in self._logged:
                self._logged[name] = highest_step(self._client, self.id, name)
            if step > self._logged.get(name, -1):
                self._waiting.append(Metric(name, float(value), now, step))
        if len(self._waiting) >= FLUSH_ENTRIES or time.monotonic() - self._flushed >= FLUSH_SECONDS:
            self._flush_or_warn()

    def flush(self) -> None:
        """Write what is gathered."""
        self._flushed = time.monotonic()
        while self._waiting:
            self._client.log_batch(self.id, metrics=self._waiting[:BATCH_METRICS])
            del self._waiting[:BATCH_METRICS]

    def _flush_or_warn(self) -> None:
        """A store that is out of reach for a while must not end hours of training: what waits is tried again. The last
        flush does raise.
        """
        or_warn(self.flush)

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Log a nested mapping under dotted names."""
        from mlflow.entities import Param

        flat = [Param(name, str(value)[:PARAM_CHARACTERS]) for name, value in flatten(params)]
        for first in range(0, len(flat), BATCH_PARAMS):
            self._client.log_batch(self.id, params=flat[first : first + BATCH_PARAMS])

    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        """Copy a file, or a folder's content, into the run's artifacts."""
        log = self._client.log_artifacts if Path(path).is_dir() else self._client.log_artifact
        log(self.id, str(path), folder)

    def set_tag(self, name: str, value: str) -> None:
        """Set a tag of the run."""
        self._client.set_tag(self.id, name, value)

    def set_parent_tag(self, name: str, value: str) -> None:
        """Set a tag of the run that this one is nested in."""
        self._client.set_tag(self._parent, name, value)


def or_warn(write: Callable[[], None]) -> None:
    """Do what writes to the store; where it cannot, say so and go on."""
    try:
        write()
    except Exception as error:
        print(f"MLflow: cannot write: {str(error).partition(chr(10))[0]}", file=sys.stderr)


class UnrecordedRun(StageRun):
    """The run of an execution that is recorded nowhere: `tracking.uri: none`."""

    def __init__(self) -> None:
        self.id = ""

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        pass

    def flush(self) -> None:
        pass

    def log_params(self, params: Mapping[str, Any]) -> None:
        pass

    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        pass

    def set_tag(self, name: str, value: str) -> None:
        pass

    def set_parent_tag(self, name: str, value: str) -> None:
        pass


@contextmanager
def stage_run(
    stage: str, params: Mapping[str, Any], run_id: str | None = None, system_metrics: bool = False,
    params_file: Path = PARAMS_FILE, parent_kind: Parent = SCHEDULE,
) -> Iterator[StageRun]:
    """Open the run of a stage's execution: FINISHED when the block ends, FAILED when it raises, KILLED by a signal.

    Args:
        stage: the run's name, such as finetune@lora.
        params: the stage's sections of the params file.
        run_id: the run that a resumed execution continues; one that the store does not hold is left aside.
        system_metrics: sample processor, memory and accelerator while the block runs.
        params_file: whose schedule the run belongs to.
        parent_kind: what the run is nested in.

    Raises:
        UserError: the store cannot be opened, or fails.
    """
    everything, tracking = read_params(params_file), load_section(TrackingConfig, "tracking", params_file)
    if tracking.uri == UNRECORDED:
        yield UnrecordedRun()
        return
    client, experiment = open_store(tracking)
    with store_failures(tracking):
        parent = parent_run(client, experiment, everything, parent_kind)
        resumed = run_id is not None and run_exists(client, run_id)
        if run_id and resumed:
            client.update_run(run_id, status="RUNNING")
        else:
            run_id = client.create_run(experiment, tags={PARENT_TAG: parent}, run_name=stage).info.run_id
        run = StageRun(client, str(run_id), resumed, parent)
        try:
            if not resumed:
                run.log_params(params)
            run.set_tag("git_commit", git_commit())
            for path, digest in data_hashes(stage, everything).items():
                run.set_tag(f"dvc.{path}", digest)
            with watch_system(run.id, resumed) if system_metrics else unwatched():
                yield run
            run.flush()
        except BaseException as error:
            run._flush_or_warn()
            status = "KILLED" if isinstance(error, Interrupted | KeyboardInterrupt) else "FAILED"
            for ended in (run.id, parent):
                or_warn(partial(client.set_terminated, ended, status))
            raise
        client.set_terminated(run.id, "FINISHED")
        close_when_idle(client, experiment, parent)


def close_when_idle(client: Any, experiment: str, parent: str) -> None:
    """Set a schedule's run FINISHED unless another of its stages still runs; whichever stage ends last closes it."""
    running = f"tags.`{PARENT_TAG}` = '{parent}' AND attributes.status = 'RUNNING'"
    if client.get_run(parent).info.status == "RUNNING" and not client.search_runs([experiment], running, max_results=1):
        client.set_terminated(parent, "FINISHED")


@contextmanager
def unwatched() -> Iterator[None]:
    """Sample nothing."""
    yield


@contextmanager
def watch_system(run_id: str, resumed: bool) -> Iterator[None]:
    """Let MLflow sample the machine in a thread of its own."""
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    monitor = SystemMetricsMonitor(run_id, resume_logging=resumed)
    monitor.start()
    try:
        yield
    finally:
        monitor.finish()


def log_to_parent(
    metrics: Mapping[str, float], artifacts: Mapping[Path, str | None] | None = None, parent_kind: Parent = SCHEDULE
) -> str:
    """Put the final results on the parent run, close it as FINISHED, and give its id; empty where nothing is recorded.

    Args:
        metrics: name -> value.
        artifacts: file or folder -> folder among the run's artifacts.
    """
    tracking = load_section(TrackingConfig, "tracking")
    if tracking.uri == UNRECORDED:
        return ""
    client, experiment = open_store(tracking)
    parent = StageRun(client, parent_run(client, experiment, read_params(PARAMS_FILE), parent_kind))
    parent.log_metrics(metrics, step=0)
    parent.flush()
    for path, folder in (artifacts or {}).items():
        parent.log_artifact(path, folder)
    client.set_terminated(parent.id, "FINISHED")
    return parent.id


def highest_step(client: Any, run_id: str, metric: str) -> int:
    """Give the highest step of a metric's history, -1 where there is none or no such run."""
    if not run_exists(client, run_id):
        return -1
    return max((entry.step for entry in client.get_metric_history(run_id, metric)), default=-1)


def run_exists(client: Any, run_id: str) -> bool:
    """Tell whether the store holds a run that is not deleted."""
    from mlflow.exceptions import MlflowException

    try:
        return bool(client.get_run(run_id).info.lifecycle_stage == "active")
    except MlflowException:
        return False


def flatten(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted name, value) of a nested mapping."""
    for key, value in content.items():
        name = f"{prefix}.{key}" if prefix else str(key)
        if isinstance(value, Mapping):
            yield from flatten(value, name)
        else:
            yield name, value
