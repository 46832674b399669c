"""The MLflow store: opened safely by several processes at once, and in it the parent runs that others are nested in.

mlflow takes seconds to import, so it is imported where it is used.
"""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from filelock import FileLock

from stages.core.errors import UserError
from stages.core.params.phases import phase_order
from stages.core.params.shared import TrackingConfig

LOCK = Path(".pipeline/mlflow.lock")
ARTIFACTS = "mlartifacts"
UNRECORDED = "none"  # instead of a URI
PARENT_TAG = "mlflow.parentRunId"
# Set where the user has not: a server that is away is told in seconds; MLflow's own settings take minutes.
HTTP_SETTINGS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
UNRELATED_SECTIONS = ("tracking", "machine", "build_base")


@dataclass(frozen=True)
class Parent:
    """A kind of run that others are nested in.

    Attributes:
        tag: holds the hash of the params that decide what the nested runs compute.
        name: names it from the params.
        aside: sections that decide nothing of it.
    """

    tag: str
    name: Callable[[dict[str, Any]], str]
    aside: tuple[str, ...] = UNRELATED_SECTIONS


def store_lock() -> FileLock:
    """Guard what must happen once: creation of the store, of the experiment and of the parent run."""
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(LOCK)


def open_store(tracking: TrackingConfig) -> tuple[Any, str]:
    """Give a client and the experiment's id; creates store and experiment where they are missing.

    Processes that create one sqlite store at the same time all fail, so the first contact is under a lock.

    Raises:
        UserError: the store cannot be opened, or the experiment's artifacts have no place any more.
    """
    for name, value in {"MLFLOW_DISABLE_TELEMETRY": "true", **HTTP_SETTINGS}.items():
        os.environ.setdefault(name, value)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # each retry would be a warning
    from mlflow import set_tracking_uri
    from mlflow.tracking import MlflowClient

    try:
        with store_lock():
            set_tracking_uri(tracking.uri)
            client = MlflowClient(tracking.uri)
            experiment = client.get_experiment_by_name(tracking.experiment)
            if not experiment:
                location = Path(ARTIFACTS).absolute().as_uri() if tracking.uri.startswith("sqlite:") else None
                return client, client.create_experiment(tracking.experiment, artifact_location=location)
    except Exception as error:  # mlflow lets its backends' own exception types through
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"tracking.uri: cannot open the MLflow store (got {tracking.uri!r}): {reason}; start "
                        f"it, or set tracking.uri to {UNRECORDED}") from error
    require_place(tracking, experiment.artifact_location)
    return client, experiment.experiment_id


def require_place(tracking: TrackingConfig, location: str) -> None:
    """Compare where an experiment of a local store keeps its artifacts, a full path for good, with what is there.

    Raises:
        UserError: the project was moved.
    """
    place = Path(unquote(urlparse(location).path))
    if tracking.uri.startswith("sqlite:") and place.name == ARTIFACTS and not os.path.isdir(place.parent):
        raise UserError(f"tracking.experiment: {tracking.experiment!r} keeps its artifacts in {place}, and "
                        f"{place.parent} is not there; MLflow cannot move them: if the project was moved, leave a "
                        "symbolic link to it in its old place, or else give tracking.experiment a new name")


@contextmanager
def store_failures(tracking: TrackingConfig) -> Iterator[None]:
    """Let a store that fails while it is used, on a full disk for one, end a run with plain words.

    Raises:
        UserError: mlflow raised within the block, or the network or the disk under it.
    """
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, OSError) as error:  # requests' errors are OSErrors
        reason = str(error).partition("\n")[0][:300]
        raise UserError(f"tracking.uri: the MLflow store fails (got {tracking.uri!r}): {reason}") from error


def params_hash(params: dict[str, Any], aside: tuple[str, ...]) -> str:
    """Fingerprint a params file without some of its sections."""
    content = {name: section for name, section in params.items() if name not in aside}
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]


def schedule_name(params: dict[str, Any]) -> str:
    """Name a schedule by its phases, such as 'lora > full > polish'."""
    return " > ".join(phase_order({name: phase["start_from"] for name, phase in params["phases"].items()}))


def comparison_name(params: dict[str, Any]) -> str:
    """Name a comparison by its strategies."""
    return "comparison of " + ", ".join(params["compare_strategies"]["compared"])


SCHEDULE = Parent("schedule.params_sha256", schedule_name, (*UNRELATED_SECTIONS, "compare_strategies"))
COMPARISON = Parent("comparison.params_sha256", comparison_name)


def parent_run(client: Any, experiment: str, params: dict[str, Any], parent: Parent = SCHEDULE) -> str:
    """Give the id of the parent run, found by the hash of its params or else created."""
    fingerprint = params_hash(params, parent.aside)
    with store_lock():
        found = client.search_runs(
            [experiment], f"tags.`{parent.tag}` = '{fingerprint}'", max_results=1,
            order_by=["attributes.start_time ASC"],
        )
        if found:
            run = found[0].info.run_id
        else:
            tags = {parent.tag: fingerprint}
            run = client.create_run(experiment, tags=tags, run_name=parent.name(params)).info.run_id
    return str(run)


def runs_underway(client: Any, experiment: str, parent: str) -> list[Any]:
    """Give the runs nested in a parent that the store holds for RUNNING."""
    return list(client.search_runs([experiment], f"tags.`{PARENT_TAG}` = '{parent}' AND attributes.status = 'RUNNING'"))


def end_lost_runs(client: Any, experiment: str, parent: str, stage: str) -> None:
    """Set the runs of a stage's earlier executions KILLED that ended without a word, as by kill -9.

    To be called under the stage's lock (stages/undisturbed.py): one that was started by hand may well live. One that
    lives all the same, on another machine, says at its end how it ended.
    """
    for run in runs_underway(client, experiment, parent):
        if run.info.run_name == stage:
            client.set_terminated(run.info.run_id, "KILLED")
