import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from stages.compare_strategies import run as running
from stages.compare_strategies.runs import Run, planned_runs, read_run
from stages.core.errors import Diverged, UserError
from stages.core.params.strict import PARAMS_FILE
from tests.processes import wait_for
from tests.tiny_store import PARAMS, runs

ROOT = Path(__file__).resolve().parents[3]
RUN = Run("hybrid-small-1", "hybrid", "small", 1, 1.0, 1000, {"lora": 200, "full": 1000}, ["lora", "full"], True)
RESULT = Path("data/comparison/runs") / RUN.name
STAND_IN = '''
import csv, json, sys
from pathlib import Path
flags = dict(zip(sys.argv[1::2], sys.argv[2::2]))
output = Path(flags["--output"]); output.mkdir(parents=True)
tokens = int(flags["--tokens_max"]) + 30 if "--tokens_max" in flags else 0
with open("calls.txt", "a") as file:
    file.write(json.dumps(flags) + "\\n")
summary = {"approach": "full", "steps": 9, "epochs": 1.5, "tokens_seen": tokens, "handed_on": {},
           "parameters": {"trained": 10 + tokens, "total": 2000, "trained_percent": 1.0}}
(output / "summary.json").write_text(json.dumps(summary))
(output / "curves.csv").write_text(f"step,tokens_seen,code_cross_entropy\\n9,{tokens},2.5\\n")
(output / "metrics.json").write_text(json.dumps({"code_cross_entropy": {"mean": 2.0}, "stop_rate": None}))
if "--cost" in flags:
    Path(flags["--cost"]).write_text(json.dumps({
        "resumed": False, "tokens": tokens, "seconds": 2.0, "tokens_per_second": tokens / 2, "peak_memory_gib": 0.5,
        "training_memory_gib": tokens / 1e4, "device": "cpu", "threads": 1}))
'''


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A folder with params, and stand-ins for the trainer and the evaluation."""
    monkeypatch.chdir(tmp_path)
    params = {"machine": {"processes": 1}, "tracking": {"uri": "none", "experiment": "x"}}
    PARAMS_FILE.write_text(yaml.safe_dump(params))
    Path("stand_in.py").write_text(STAND_IN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(running, "FINETUNE", "stand_in")
    monkeypatch.setattr(running, "EVALUATE", "stand_in")


def calls():
    return [json.loads(line) for line in Path("calls.txt").read_text().splitlines()]


def test_phases_follow_each_other_and_a_steps_surplus_is_taken_from_the_next():
    outcome = running.carry_out(RUN, {"phases": {}}, Path("work"))
    first, second, evaluation = calls()
    assert (first["--tokens_max"], second["--tokens_max"]) == ("200", "770")
    assert first["--model_path"] == "data/checkpoints/base" and second["--model_path"].endswith("checkpoints/lora")
    assert first["--train_manifest"] == "data/comparison/plan/small/index.jsonl"
    assert first["--val_manifest"] == "data/features/index.jsonl"
    assert evaluation["--model_path"].endswith("checkpoints/full") and evaluation["--phase"] == "full"
    assert outcome.metrics["tokens_seen"] == 1030 and outcome.metrics["trained_parameters"] == 810
    assert outcome.metrics["training_memory_gib"] == 0.08 and outcome.metrics["tokens_per_second"] == 257.5
    assert outcome.metrics["evaluation"]["code_cross_entropy"] == {"mean": 2.0}
    assert [(point["phase"], point["tokens_seen"]) for point in outcome.curve] == [("lora", "230"), ("full", "1030")]
    params = yaml.safe_load(Path("work/params.yaml").read_text())
    assert params["tracking"]["uri"] == "none" and params["machine"] == {"processes": 1}


def lay_out_plan(*names):
    Path("data/comparison/plan").mkdir(parents=True)
    for name in names:
        content = {"run": {**asdict(RUN), "name": name}, "base": {"path": "data/base"}, "phases": {}}
        Path(f"data/comparison/plan/{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def kept_files():
    return sorted(path.name for path in (running.RESUME / RUN.name).rglob("*") if path.is_file())


def test_a_result_takes_its_place_and_no_weights_stay(capsys):
    lay_out_plan(RUN.name, "hybrid-small-2")
    assert running.main([RUN.name]) == 0
    assert json.loads((RESULT / "metrics.json").read_text())["diverged"] is None
    assert (RESULT / "curves.csv").read_text().count("\n") == 3
    assert kept_files() == ["curves.csv", "metrics.json", "run_id.txt"]
    assert "1 of 2 runs are there, ETA" in capsys.readouterr().out


def test_a_finished_run_that_was_lost_before_dvc_took_it_ends_at_once_with_the_same_inputs_only():
    lay_out_plan(RUN.name)
    Path("data/features").mkdir()
    running.main([RUN.name])
    made = {path.name: path.read_bytes() for path in RESULT.iterdir()}
    shutil.rmtree(RESULT)
    running.main([RUN.name])
    assert {path.name: path.read_bytes() for path in RESULT.iterdir()} == made and len(calls()) == 3
    Path("data/features/index.jsonl").write_text("another")
    running.main([RUN.name])
    assert len(calls()) == 6 and kept_files() == ["curves.csv", "metrics.json", "run_id.txt"]


def test_a_run_that_failed_keeps_its_state_until_its_inputs_change(monkeypatch):
    lay_out_plan(RUN.name)
    monkeypatch.setattr(running, "EVALUATE", "nothing")
    for _ in range(2):
        with pytest.raises(UserError):
            running.main([RUN.name])
        assert len(list(running.RESUME.glob(f"{RUN.name}/*/work/checkpoints/full"))) == 1
        shutil.rmtree(next(running.RESUME.glob(f"{RUN.name}/*/work/checkpoints")))
    Path("data/base").mkdir()
    Path("data/base/config.yaml").write_text("another")
    with pytest.raises(UserError):
        running.main([RUN.name])
    assert len(list(running.RESUME.glob(f"{RUN.name}/*"))) == 1


def test_progress_is_told_while_results_come_and_go():
    lay_out_plan(RUN.name, "hybrid-small-2", "hybrid-small-3")
    for name, content in (("hybrid-small-2", '{"run_sec'), ("hybrid-small-3", '{"run_seconds": 20.0}')):
        Path(f"data/comparison/runs/{name}").mkdir(parents=True)
        Path(f"data/comparison/runs/{name}/metrics.json").write_text(content)
    assert "done in 10 s; 2 of 3 runs" in running.tell_progress(RUN, {"run_seconds": 10.0, "diverged": None})
    shutil.rmtree("data/comparison")
    assert "1 of 1 runs are there, ETA 0" in running.tell_progress(RUN, {"run_seconds": 10.0, "diverged": None})


def track(uri):
    params = {**PARAMS, "compare_strategies": {"compared": ["hybrid"]}, "machine": {"processes": 1},
              "tracking": {"uri": uri, "experiment": "schedule"}}
    PARAMS_FILE.write_text(yaml.safe_dump(params))


def test_a_store_that_is_away_is_told_before_anything_is_trained():
    lay_out_plan(RUN.name)
    track("sqlite:////dev/null/mlflow.db")
    with pytest.raises(UserError, match="tracking.uri: cannot open"):
        running.main([RUN.name])
    assert not Path("calls.txt").exists()


def test_a_store_that_goes_away_costs_no_run_and_gets_the_record_later(monkeypatch):
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    def fail(*_, **__):
        raise MlflowException("away")

    lay_out_plan(RUN.name)
    uri = f"sqlite:///{Path.cwd()}/mlflow.db"
    track(uri)
    carry_out = running.carry_out
    with monkeypatch.context() as patch:
        def lose_store(*given):
            for name in ("get_experiment_by_name", "search_runs", "log_batch", "set_tag", "log_artifact",
                         "log_artifacts", "set_terminated"):
                patch.setattr(MlflowClient, name, fail)
            return carry_out(*given)

        patch.setattr(running, "carry_out", lose_store)
        assert running.main([RUN.name]) == 0
    assert json.loads((RESULT / "metrics.json").read_text())["training_seconds"] == 4.0
    assert running.main([RUN.name]) == 0 and len(calls()) == 3
    client = MlflowClient(uri)
    [held] = [run for run in runs(client) if run.info.run_name == RUN.name]
    assert (held.info.status, held.data.metrics["code_cross_entropy"]) == ("FINISHED", 2.0)
    curve = client.get_metric_history(held.info.run_id, "training_code_cross_entropy")
    assert [point.step for point in curve] == [230, 1030]
    assert [file.path for file in client.list_artifacts(held.info.run_id)] == ["curves.csv", "metrics.json"]


def test_a_training_that_diverges_is_a_result_and_any_other_failure_an_error(monkeypatch):
    Path("diverges.py").write_text(
        "import sys; print('error: more than skipped_steps_max = 10\\nthe launcher: failed'); sys.exit(3)")
    Path("fails.py").write_text("import sys; print('error: no such file'); sys.exit(2)")
    monkeypatch.setattr(running, "FINETUNE", "diverges")
    outcome = running.carry_out(RUN, {"phases": {}}, Path("work"))
    assert outcome.metrics["diverged"] == "hybrid-small-1: diverges: more than skipped_steps_max = 10"
    assert outcome.metrics["evaluation"] == {} and outcome.metrics["tokens_per_second"] is None
    with pytest.raises(Diverged):
        running.start_command(RUN, "diverges")
    with pytest.raises(UserError, match="hybrid-small-1: fails: no such file"):
        running.start_command(RUN, "fails")


@pytest.mark.parametrize("number, ends_with, status", [
    (signal.SIGTERM, "128 + number", 128 + signal.SIGTERM), (signal.SIGTERM, "0", 128 + signal.SIGTERM),
    (signal.SIGKILL, "128 + number", -signal.SIGKILL)])
def test_a_signal_is_passed_on_and_the_command_may_save_before_it_ends_also_when_its_parent_is_killed(
        number, ends_with, status):
    Path("waits.py").write_text(
        "import signal, sys, time\n"
        "def save(number, frame):\n    open('saved', 'w').close()\n    sys.exit(" + ends_with + ")\n"
        "signal.signal(signal.SIGTERM, save)\nopen('ready', 'w').close()\ntime.sleep(60)\n")
    code = ("from tests.unit.compare_strategies.test_run import RUN\n"
            "from stages.compare_strategies import run\n"
            "from stages.core.errors import Interrupted\nimport sys\n"
            "try:\n    run.start_command(RUN, 'waits')\nexcept Interrupted as stop:\n    sys.exit(stop.status)\n")
    process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": f"{Path.cwd()}:{ROOT}"})
    wait_for(Path("ready").exists, process=process)
    process.send_signal(number)
    assert process.wait(timeout=20) == status
    wait_for(Path("saved").exists)


def test_a_resumed_phase_leaves_the_time_of_the_run_unmeasured():
    phase = {"resumed": False, "tokens": 10, "tokens_seen": 10, "seconds": 2.0, "trained": 1, "total": 4,
             "peak_memory_gib": 0.2, "training_memory_gib": 0.1, "device": "cpu", "threads": 1}
    assert running.summarise([phase, phase])["training_seconds"] == 4.0
    resumed = running.summarise([phase, {**phase, "resumed": True, "tokens": 5}])
    assert (resumed["training_seconds"], resumed["tokens_per_second"]) == (None, 3.8)


def test_a_run_is_read_as_it_was_planned_and_an_unknown_one_told():
    folder = Path("plan")
    folder.mkdir()
    (folder / "hybrid-small-1.yaml").write_text(yaml.safe_dump({"run": asdict(RUN), "phases": {"lora": {}}}))
    assert read_run("hybrid-small-1", folder) == (RUN, {"phases": {"lora": {}}})
    assert planned_runs(folder) == ["hybrid-small-1"]
    with pytest.raises(UserError, match="no such run; the plan holds hybrid-small-1"):
        read_run("full", folder)
