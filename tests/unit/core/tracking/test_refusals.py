"""A store that takes points and no artifacts: the run goes on, and so does every stage after it."""

import errno
import os
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from requests import ConnectionError as NoConnection
from requests import HTTPError, Response

from stages.core.errors import Interrupted, UserError
from stages.core.tracking import kept
from stages.core.tracking.delivery import is_refused
from stages.core.tracking.mlflow_runs import stage_run, whole_run


@contextmanager
def artifacts_behind(status):
    """A server of artifacts that answers every upload with one status; gives its address."""

    class Answer(BaseHTTPRequestHandler):
        def do_PUT(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def record_artifact(client, location):
    """Run a stage with an artifact, then a point, in an experiment with artifacts at a place; give the run's id."""
    client.create_experiment("remote", artifact_location=location)
    path = Path("params.yaml")
    path.write_text(path.read_text().replace("experiment: schedule", "experiment: remote"))
    Path("figure.txt").write_text("figure")
    with stage_run("evaluate_speech@lora", {}) as run:
        run.log_artifact(Path("figure.txt"))
        run.log_metrics({"code_loss": 2.5}, step=100)
    return run.id


def left():
    return list(Path(".resume/tracking").glob("*.jsonl"))


def test_an_artifact_that_is_too_large_for_the_server_is_left_out_and_the_rest_arrives(client, capsys):
    with artifacts_behind(413) as location:
        run = record_artifact(client, location)
    held = client.get_run(run)
    assert (held.info.status, held.data.metrics) == ("FINISHED", {"code_loss": 2.5})
    assert "refuses what it is sent: artifact: 413" in capsys.readouterr().err and not left()


def test_artifacts_that_cannot_be_stored_yet_stop_no_later_stage_and_arrive_after_the_repair(client, capsys):
    place = Path("taken").absolute()
    place.write_text("a file where the artifacts' folder should be")
    run = record_artifact(client, place.as_uri())
    with stage_run("gate_phase@lora", {}) as later:
        pass
    assert client.get_run(later.id).info.status == "FINISHED"
    assert f"{kept.KEPT} holds it" in capsys.readouterr().err and len(left()) == 1
    with pytest.raises(UserError, match="tracking.uri: the MLflow store fails"):
        kept.main()
    place.unlink()
    assert kept.main() == 0 and re.search(r"MLflow: [1-9]\d* kept entries sent", capsys.readouterr().out)
    assert client.get_run(run).data.metrics == {"code_loss": 2.5}
    assert [path.read_text() for path in place.rglob("figure.txt")] == ["figure"] and not left()


@pytest.mark.parametrize(("status", "refused"), [(400, True), (413, True), (401, False), (403, False), (408, False),
                                                 (429, False), (500, False), (503, False)])
def test_only_an_answer_that_stays_the_same_is_a_refusal(status, refused):
    answer = Response()
    answer.status_code = status
    assert is_refused(HTTPError("no", response=answer)) is refused


def test_a_connection_that_breaks_is_no_refusal():
    assert not is_refused(NoConnection("reset"))


def test_a_stage_names_its_own_failed_read_not_the_store(client):
    with pytest.raises(FileNotFoundError), stage_run("finetune@lora", {}):
        Path("missing").read_text()


def test_a_connection_that_breaks_while_a_run_is_opened_is_one_clear_error(client, monkeypatch):
    from mlflow.tracking import MlflowClient

    def breaks(*_, **__):
        raise NoConnection("connection reset by peer")

    monkeypatch.setattr(MlflowClient, "search_runs", breaks)
    with pytest.raises(UserError, match="the MLflow store fails .*reset by peer"), stage_run("a", {}):
        pass
    with pytest.raises(UserError, match="the MLflow store fails .*reset by peer"), whole_run():
        pass


@pytest.mark.parametrize("error", [Interrupted(15, step=3), UserError("manifest.jsonl: cannot write")])
def test_what_cannot_even_be_kept_hides_no_error_of_the_stage(fault, capsys, error):
    keep_nothing()
    with pytest.raises(type(error)) as raised, stage_run("finetune@lora", {}) as run:
        run.log_artifact(Path("params.yaml"))
        fault.begin("log_batch", "set_tag", "set_terminated", "log_artifact")
        raise error
    assert raised.value is error and "the rest is lost, for it cannot be kept" in capsys.readouterr().err


def test_a_stage_that_did_its_work_ends_well_where_nothing_can_be_kept(fault, capsys):
    keep_nothing()
    with stage_run("finetune@lora", {}):
        fault.begin("log_batch", "set_tag", "set_terminated")
    assert "the rest is lost, for it cannot be kept" in capsys.readouterr().err


def keep_nothing():
    """Let whatever should be kept fail, as on a full disk."""
    Path(".resume").write_text("a file where a folder should be")


def test_a_disk_that_fills_while_artifacts_are_kept_leaves_no_copies(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("figure.txt").write_text("figure")
    entries = [{"do": "artifact", "run": "r", "path": "figure.txt", "folder": None},
               {"do": "tag", "run": "r", "name": "a", "value": "b"}]

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(kept, "write_jsonl", full)
    with pytest.raises(OSError, match="No space"):
        kept.keep("sqlite:///mlflow.db", entries)
    assert list(kept.KEPT.iterdir()) == []
