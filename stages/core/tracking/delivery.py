"""What a run has to write, as plain entries: they can wait, lie in a file, and be delivered twice without harm.

A store holds one point for the same metric, step, value and time, and one value a tag; so whoever does not know whether
an entry arrived sends it again.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from stages.core.errors import one_line
from stages.core.tracking.mlflow_store import runs_underway

Entry = dict[str, Any]
BATCH_METRICS, BATCH_PARAMS = 1000, 100  # MLflow's limits of one log_batch
REFUSALS = (400, 404, 409)  # answers of a store that is there and will never take the entry
PASSING = (401, 403, 408, 429)  # what a server of artifacts may answer differently after a repair, or later


def metrics_entry(run_id: str, points: list[tuple[str, float, int]]) -> Entry:
    """Points of metrics: name, value, step; their time is now."""
    now = int(time.time() * 1000)
    return {"do": "metrics", "run": run_id, "points": [[name, value, now, step] for name, value, step in points]}


def end_entry(run_id: str, status: str) -> Entry:
    """The end of a run, now."""
    return {"do": "end", "run": run_id, "status": status, "end_time": int(time.time() * 1000)}


def first_batch(entries: Sequence[Entry]) -> list[Entry]:
    """Give the entries that one request may hold, from the first on: points of one run, or a single other entry."""
    batch, points = list(entries[:1]), len(entries[0].get("points", ()))
    for entry in entries[1:]:
        points += len(entry.get("points", ()))
        if (entry["do"], entry["run"]) != ("metrics", batch[0]["run"]) or batch[0]["do"] != "metrics" or \
                points > BATCH_METRICS:
            break
        batch.append(entry)
    return batch


def deliver(client: Any, batch: Sequence[Entry]) -> None:
    """Write a batch of `first_batch`; raises what mlflow and its backends raise."""
    from mlflow.entities import Metric, Param

    entry = batch[0]
    run_id = entry["run"]
    match entry["do"]:
        case "metrics":
            points = [Metric(*point) for one in batch for point in one["points"]]
            for first in range(0, len(points), BATCH_METRICS):
                client.log_batch(run_id, metrics=points[first : first + BATCH_METRICS])
        case "params":
            params = [Param(*pair) for pair in entry["pairs"]]
            for first in range(0, len(params), BATCH_PARAMS):
                client.log_batch(run_id, params=params[first : first + BATCH_PARAMS])
        case "tag":
            client.set_tag(run_id, entry["name"], entry["value"])
        case "artifact":
            log = client.log_artifacts if Path(entry["path"]).is_dir() else client.log_artifact
            log(run_id, entry["path"], entry["folder"])
        case "end":
            if (client.get_run(run_id).info.end_time or 0) <= entry["end_time"]:  # else it went on, and ended anew
                client.set_terminated(run_id, entry["status"], entry["end_time"])
        case "close":
            close_when_idle(client, entry["experiment"], run_id)


def send_all(client: Any, waiting: list[Entry], refused: Callable[[Entry, str], None],
             sent: Callable[[], None] = lambda: None) -> None:
    """Deliver and forget entries in order, from the first on; raises what mlflow raises and leaves the rest waiting.

    Args:
        refused: is told of an entry that the store will never have, which is forgotten too, and the reason.
        sent: is called once a batch is forgotten.
    """
    while waiting:
        batch = first_batch(waiting)
        try:
            deliver(client, batch)
        except Exception as error:
            if not is_refused(error):
                raise
            refused(batch[0], reason_of(error))
        del waiting[: len(batch)]
        sent()


def close_when_idle(client: Any, experiment: str, parent: str) -> None:
    """Set a schedule's run FINISHED unless another of its stages still runs; whichever stage ends last closes it."""
    if client.get_run(parent).info.status == "RUNNING" and not runs_underway(client, experiment, parent):
        client.set_terminated(parent, "FINISHED")


def is_refused(error: Exception) -> bool:
    """Tell whether an entry failed for good: the store will not have it, or the file that it names is gone."""
    from mlflow.exceptions import MlflowException

    if isinstance(error, MlflowException):
        return error.get_http_status_code() in REFUSALS
    answer = getattr(getattr(error, "response", None), "status_code", None)  # of requests' HTTPError, for an artifact
    if answer is not None:
        return 400 <= answer < 500 and answer not in PASSING
    return isinstance(error, FileNotFoundError)


def reason_of(error: Exception) -> str:
    """An error in one short line."""
    return one_line(str(error).partition("\n")[0][:200])
