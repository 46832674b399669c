import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from stages.core.errors import Interrupted, UserError
from stages.core.params.shared import TrackingConfig
from stages.core.tracking import kept, outbox
from stages.core.tracking.delivery import deliver, end_entry
from stages.core.tracking.mlflow_runs import stage_run, whole_run
from stages.core.tracking.mlflow_store import COMPARISON, PARENT_TAG, SCHEDULE, open_store, params_hash, schedule_name
from stages.core.tracking.provenance import INPUTS
from tests.tiny_store import PARAMS, lay_out, runs

ROOT = Path(__file__).resolve().parents[4]
def test_stage_is_nested_in_the_one_parent_of_its_schedule(client):
    for stage in ("finetune@lora", "finetune@full"):
        with stage_run(stage, {"phase": {"epochs": 3}}):
            pass
    parents = {run.data.tags.get(PARENT_TAG) for run in runs(client)} - {None}
    assert len(parents) == 1
    assert client.get_run(parents.pop()).info.run_name == "lora > full"
    assert {run.info.run_name for run in runs(client)} == {"lora > full", "finetune@lora", "finetune@full"}


def test_run_holds_params_metrics_artifacts_and_origin(client):
    Path("figure.txt").write_text("figure")
    with stage_run("finetune@lora", {"phase": {"epochs": 3}}) as run:
        run.log_metrics({"code_loss": 2.5}, step=100)
        run.log_artifact(Path("figure.txt"), "figures")
    held = client.get_run(run.id)
    assert held.info.status == "FINISHED"
    assert held.data.params == {"phase.epochs": "3"}
    assert held.data.metrics == {"code_loss": 2.5}
    assert held.data.tags["git_commit"] == "unknown"
    assert [file.path for file in client.list_artifacts(run.id, "figures")] == ["figures/figure.txt"]
    assert list(Path("mlartifacts").rglob("figure.txt"))


def test_what_concerns_the_whole_schedule_is_a_tag_of_its_run(client):
    with stage_run("gate_phase@lora", {}) as run:
        run.parent.set_tag("gate.lora", "passed")
    parent = client.get_run(run.id).data.tags[PARENT_TAG]
    assert client.get_run(parent).data.tags["gate.lora"] == "passed"
    assert "gate.lora" not in client.get_run(run.id).data.tags


def test_failed_stage_fails_its_run_and_its_schedule_and_keeps_its_curve(client):
    with pytest.raises(ZeroDivisionError), stage_run("finetune@lora", {}) as run:
        run.log_metrics({"code_loss": 2.5}, step=100)
        raise ZeroDivisionError
    assert {held.info.status for held in runs(client)} == {"FAILED"}
    assert [entry.step for entry in client.get_metric_history(run.id, "code_loss")] == [100]


def test_a_stage_that_a_signal_stopped_is_killed_not_failed(client):
    with pytest.raises(Interrupted), stage_run("finetune@lora", {}):
        raise Interrupted(15, step=3)
    assert {held.info.status for held in runs(client)} == {"KILLED"}


def test_a_stage_that_ended_without_a_word_is_killed_when_dvc_starts_it_again_and_keeps_no_schedule_open(
        client, monkeypatch):
    monkeypatch.setenv(INPUTS, "{}")
    lost = (
        "import os, signal; from stages.core.tracking.mlflow_runs import stage_run\n"
        "with stage_run('train_vocabulary', {}): os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", lost], env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert killed.returncode == -signal.SIGKILL
    [first] = [run for run in runs(client) if run.info.run_name == "train_vocabulary"]
    assert first.info.status == "RUNNING"
    with stage_run("prepare_corpus", {}) as living, stage_run("train_vocabulary", {}) as second:
        told = {run: client.get_run(run).info.status for run in (first.info.run_id, living.id, second.id)}
    assert list(told.values()) == ["KILLED", "RUNNING", "RUNNING"] and first.info.run_id != second.id
    assert sorted(run.info.status for run in runs(client)) == ["FINISHED", "FINISHED", "FINISHED", "KILLED"]


def test_a_stage_started_by_hand_beside_another_leaves_its_run_alone(client):
    with stage_run("finetune@lora", {}) as first, stage_run("finetune@lora", {}):
        assert client.get_run(first.id).info.status == "RUNNING"


def test_the_end_of_an_attempt_that_is_sent_late_does_not_hide_how_the_run_ended(client):
    with pytest.raises(Interrupted), stage_run("finetune@lora", {}) as first:
        raise Interrupted(15, step=3)
    late = end_entry(first.id, "KILLED") | {"end_time": 1}
    with stage_run("finetune@lora", {}, run_id=first.id):
        pass
    deliver(client, [late])
    assert {held.info.status for held in runs(client)} == {"FINISHED"}


def test_final_results_do_not_hide_that_another_stage_failed(client):
    with stage_run("report", {}) as run:
        with pytest.raises(ZeroDivisionError), stage_run("export_model", {}):
            raise ZeroDivisionError
        run.parent.log_metrics({"phone_error_rate": 0.4}, step=0)
    parent = run.parent.id
    held = client.get_run(parent)
    assert (held.info.status, held.data.metrics) == ("FAILED", {"phone_error_rate": 0.4})
    with stage_run("export_model", {}):
        pass
    assert client.get_run(parent).info.status == "FINISHED"


def test_resumed_stage_continues_its_run_and_logs_no_step_twice(client):
    with pytest.raises(KeyboardInterrupt), stage_run("finetune@lora", {"epochs": 1}) as first:
        for step in (10, 20, 30):
            first.log_metrics({"code_loss": 1.0}, step=step)
        raise KeyboardInterrupt
    with stage_run("finetune@lora", {"epochs": 1}, run_id=first.id) as second:
        for step in (20, 30, 40):
            second.log_metrics({"code_loss": 1.0}, step=step)
    assert second.id == first.id
    assert sorted(entry.step for entry in client.get_metric_history(first.id, "code_loss")) == [10, 20, 30, 40]
    assert client.get_run(first.id).info.status == "FINISHED"


def test_resume_state_of_a_deleted_store_starts_a_new_run(client):
    with stage_run("finetune@lora", {}, run_id="0" * 32) as run:
        assert run.id != "0" * 32


def test_final_results_close_the_parent(client):
    with stage_run("report", {}):
        pass
    with whole_run() as whole:
        whole.log_metrics({"phone_error_rate": 0.4}, step=0)
    parent = client.get_run(whole.id)
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics == {"phone_error_rate": 0.4}
    assert len(runs(client)) == 2


def log_fifty_steps(stage):
    """Be one of several stages that start at once."""
    with stage_run(stage, {"epochs": 1}) as run:
        for step in range(50):
            run.log_metrics({"code_loss": 1.0}, step=step)


def test_whichever_stage_ends_last_closes_the_schedule(client):
    def status():
        [parent] = [run for run in client.search_runs(["0", "1", "2"]) if PARENT_TAG not in run.data.tags]
        return parent.info.status

    with stage_run("report", {}):
        with stage_run("export_model", {}) as run:
            run.parent.log_metrics({"phone_error_rate": 0.4}, step=0)
        with whole_run():
            pass
        assert status() == "RUNNING"
        with stage_run("export_model", {}):
            pass
        assert status() == "RUNNING"
    assert status() == "FINISHED"


def test_eight_processes_create_one_store_at_once(tmp_path, monkeypatch):
    import mlflow.tracking  # noqa: F401 - loaded before the fork, so that all eight reach the store together

    tracking = lay_out(tmp_path, monkeypatch)
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=log_fifty_steps, args=(f"finetune@phase{number}",)) for number in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 8
    held = runs(open_store(tracking)[0])
    assert sorted(run.info.status for run in held) == ["FINISHED"] * 9
    assert sum(PARENT_TAG in run.data.tags for run in held) == 8


def test_unusable_store_is_one_clear_error(client):
    with pytest.raises(UserError, match="tracking.uri: cannot open"):
        open_store(TrackingConfig(uri="sqlite:////dev/null/mlflow.db", experiment="schedule"))


def test_a_moved_project_is_one_clear_error_until_a_link_or_a_new_name(tmp_path, monkeypatch, made_store):
    old, new = tmp_path / "old one", tmp_path / "new"
    old.mkdir()
    shutil.copy(made_store, old)
    lay_out(old, monkeypatch)
    with stage_run("prepare_corpus", {}):
        pass
    old.rename(new)
    tracking = lay_out(new, monkeypatch)
    with pytest.raises(UserError, match="'schedule' keeps its artifacts in .*old one/mlartifacts"):
        open_store(tracking)
    old.symlink_to(new)
    with stage_run("prepare_corpus", {}) as run:
        run.log_artifact(Path("params.yaml"))
    assert list((new / "mlartifacts").rglob("params.yaml"))
    old.unlink()
    client, experiment = open_store(tracking.model_copy(update={"experiment": "another name"}))
    assert client.get_experiment(experiment).artifact_location == (new / "mlartifacts").as_uri()
    assert not old.exists()


def test_a_store_that_fails_while_a_run_is_opened_is_one_clear_error(fault):
    fault.begin("create_run")
    with pytest.raises(UserError, match="tracking.uri: the MLflow store fails .*disk is full$"), stage_run("a", {}):
        pass


def test_a_store_that_fails_in_the_middle_is_told_once_and_never_hides_an_error(fault, capsys):
    with pytest.raises(UserError, match="manifest.jsonl: cannot write"), stage_run("b", {}) as run:
        fault.begin("log_batch")
        run.log_metrics({"code_loss": 1.0}, step=1)
        raise UserError("manifest.jsonl: cannot write")
    assert capsys.readouterr().err.count("database or disk is full") == 1


def test_what_a_store_did_not_take_is_sent_by_the_next_stage(client, fault, capsys):
    figure = Path("figure.txt")
    figure.write_text("as it was")
    with stage_run("finetune@lora", {"epochs": 1}) as run:
        fault.begin("log_batch", "set_tag", "set_terminated", "log_artifact")
        run.log_metrics({"code_loss": 2.5}, step=100)
        run.log_artifact(figure)
    assert "`python -m stages.core.tracking.kept` sends" in capsys.readouterr().err
    assert client.get_run(run.id).data.metrics == {}
    figure.write_text("as a later stage left it")
    fault.end()
    with stage_run("finetune@full", {}):
        pass
    held = client.get_run(run.id)
    assert (held.info.status, held.data.metrics, held.data.params) == ("FINISHED", {"code_loss": 2.5}, {"epochs": "1"})
    [sent] = Path("mlartifacts").rglob("figure.txt")
    assert sent.read_text() == "as it was"
    assert [path.name for path in Path(".resume/tracking").iterdir()] in ([], ["lock"])


def test_what_a_store_did_not_take_of_the_whole_schedule_is_kept_too(client, fault, capsys):
    Path("index.html").write_text("a page")
    with stage_run("report", {}) as run:
        fault.begin("log_batch", "set_tag", "set_terminated", "log_artifact", "search_runs", "get_experiment_by_name")
        run.parent.log_metrics({"phone_error_rate": 0.4}, step=0)
        run.parent.log_artifact(Path("index.html"))
    assert capsys.readouterr().err.count("the next stage") == 1
    fault.end()
    with whole_run() as whole:
        pass
    held = client.get_run(run.parent.id)
    assert whole.id == held.info.run_id
    assert (held.info.status, held.data.metrics) == ("FINISHED", {"phone_error_rate": 0.4})
    assert [path.read_text() for path in Path("mlartifacts").rglob("index.html")] == ["a page"]


def test_a_stage_without_a_run_of_its_own_fails_the_whole(client):
    with pytest.raises(ZeroDivisionError), whole_run() as whole:
        raise ZeroDivisionError
    assert client.get_run(whole.id).info.status == "FAILED" and len(runs(client)) == 1


def test_what_is_kept_for_a_deleted_run_is_dropped_and_for_another_store_stays(client, fault, capsys):
    with stage_run("finetune@lora", {}) as run:
        fault.begin("log_batch", "set_tag", "set_terminated")
        run.log_metrics({"code_loss": 2.5}, step=100)
    fault.end()
    client.delete_run(run.id)
    Path(".resume/tracking/1.jsonl").write_text('{"uri": "http://127.0.0.1:1"}\n')
    assert kept.main() == 0
    said = capsys.readouterr()
    assert "refused" in said.err and "1.jsonl is for another store, http://127.0.0.1:1" in said.out
    assert [path.name for path in Path(".resume/tracking").glob("*.jsonl")] == ["1.jsonl"]


def test_no_write_of_a_run_waits_for_the_store(client, fault, monkeypatch):
    from mlflow.tracking import MlflowClient

    write = MlflowClient.log_batch
    monkeypatch.setattr(outbox, "SEND_SECONDS", 0.01)
    monkeypatch.setattr(MlflowClient, "log_batch", lambda *given, **named: time.sleep(1) or write(*given, **named))
    with stage_run("finetune@lora", {}) as run:
        began = time.monotonic()
        for step in range(10):
            run.log_metrics({"code_loss": 1.0}, step=step)
            time.sleep(0.02)
        assert time.monotonic() - began < 1
    assert len(client.get_metric_history(run.id, "code_loss")) == 10


def test_schedule_is_named_in_order_and_tracking_does_not_change_its_hash():
    elsewhere = {**PARAMS, "tracking": {"uri": "http://localhost", "experiment": "other"}}
    assert schedule_name(PARAMS) == "lora > full"
    assert params_hash(PARAMS, SCHEDULE.aside) == params_hash(elsewhere, SCHEDULE.aside)
    assert params_hash(PARAMS, SCHEDULE.aside) != params_hash({**PARAMS, "report": {}}, SCHEDULE.aside)


def test_a_comparison_has_a_parent_of_its_own_and_an_edit_of_it_leaves_the_schedules(client):
    compared = {"compare_strategies": {"compared": ["full", "hybrid"]}}
    path = Path("params.yaml")
    path.write_text(path.read_text() + yaml.safe_dump(compared))
    with stage_run("finetune@lora", {}), stage_run("hybrid-small-1", {}, parent_kind=COMPARISON):
        pass
    path.write_text(path.read_text().replace("- hybrid", "- lora"))
    with stage_run("finetune@full", {}), stage_run("lora-small-1", {}, parent_kind=COMPARISON):
        pass
    names = {run.info.run_id: run.info.run_name for run in runs(client)}
    nested = {run.info.run_name: names.get(run.data.tags.get(PARENT_TAG)) for run in runs(client)}
    assert nested == {
        "lora > full": None, "comparison of full, hybrid": None, "comparison of full, lora": None,
        "finetune@lora": "lora > full", "finetune@full": "lora > full",
        "hybrid-small-1": "comparison of full, hybrid", "lora-small-1": "comparison of full, lora",
    }
    assert {run.info.status for run in runs(client)} == {"FINISHED"}


def test_nothing_is_recorded_where_the_params_say_so(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(yaml.safe_dump({**PARAMS, "tracking": {"uri": "none", "experiment": "x"}}))
    with stage_run("finetune@lora", {"epochs": 1}) as run:
        run.log_metrics({"code_loss": 1.0}, step=1)
        run.log_artifact(Path("params.yaml"))
        run.set_tag("a", "b")
        run.parent.set_tag("a", "b")
    with whole_run() as whole:
        whole.log_metrics({"code_loss": 1.0}, step=0)
    assert whole.id == ""
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]
    kept.KEPT.mkdir(parents=True)
    (kept.KEPT / "1.jsonl").write_text('{"uri": "http://127.0.0.1:1"}\n')
    assert kept.main() == 0
    said = capsys.readouterr().out
    assert "nothing is recorded" in said and "1.jsonl is for another store, http://127.0.0.1:1" in said


def test_importing_the_room_does_not_import_mlflow():
    code = "import sys, stages.core.tracking.mlflow_runs; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
