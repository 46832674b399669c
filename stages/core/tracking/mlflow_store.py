"""The MLflow store: opened safely by several processes at once, and the parent run of the schedule in it.

mlflow takes seconds to import, so it is imported where it is used.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from filelock import FileLock

from stages.core.errors import UserError
from stages.core.params.phases import phase_order
from stages.core.params.shared import TrackingConfig

LOCK = Path(".pipeline/mlflow.lock")
ARTIFACTS = "mlartifacts"
SCHEDULE_TAG = "schedule.params_sha256"
PARENT_TAG = "mlflow.parentRunId"
UNRELATED_SECTIONS = ("tracking", "machine", "build_base")


def store_lock() -> FileLock:
    """Guard what must happen once: creation of the store, of the experiment and of the parent run."""
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(LOCK)


def open_store(tracking: TrackingConfig) -> tuple[Any, str]:
    """Give a client and the experiment's id; creates store and experiment where they are missing.

    Processes that create one sqlite store at the same time all fail, so the first contact is under a lock.

    Raises:
        UserError: the store cannot be opened.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import set_tracking_uri
    from mlflow.tracking import MlflowClient

    try:
        with store_lock():
            set_tracking_uri(tracking.uri)
            client = MlflowClient(tracking.uri)
            experiment = client.get_experiment_by_name(tracking.experiment)
            if experiment:
                return client, experiment.experiment_id
            location = Path(ARTIFACTS).absolute().as_uri() if tracking.uri.startswith("sqlite:") else None
            return client, client.create_experiment(tracking.experiment, artifact_location=location)
    except Exception as error:  # mlflow lets its backends' own exception types through
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"tracking.uri: cannot open the MLflow store (got {tracking.uri!r}): {reason}") from error


def schedule_hash(params: dict[str, Any]) -> str:
    """Fingerprint what a schedule computes: the params file without the sections that change no result."""
    content = {name: section for name, section in params.items() if name not in UNRELATED_SECTIONS}
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]


def schedule_name(params: dict[str, Any]) -> str:
    """Name a schedule by its phases, such as 'lora > full > polish'."""
    return " > ".join(phase_order({name: phase["start_from"] for name, phase in params["phases"].items()}))


def parent_run(client: Any, experiment: str, params: dict[str, Any]) -> str:
    """Give the id of the schedule's parent run, found by the hash of its params or else created."""
    schedule = schedule_hash(params)
    with store_lock():
        found = client.search_runs(
            [experiment], f"tags.`{SCHEDULE_TAG}` = '{schedule}'", max_results=1, order_by=["attributes.start_time ASC"]
        )
        if found:
            parent = found[0].info.run_id
            client.update_run(parent, status="RUNNING")
        else:
            tags = {SCHEDULE_TAG: schedule}
            parent = client.create_run(experiment, tags=tags, run_name=schedule_name(params)).info.run_id
    return str(parent)
