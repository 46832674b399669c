import json
import os
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

ROOT = Path(__file__).resolve().parents[3]
RUN = Run("hybrid-small-1", "hybrid", "small", 1, 1.0, 1000, {"lora": 200, "full": 1000}, ["lora", "full"], True)
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
    outcome = running.carry_out(RUN, {"phases": {}})
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
    params = yaml.safe_load((running.WORK / RUN.name / "params.yaml").read_text())
    assert params["tracking"]["uri"] == "none" and params["machine"] == {"processes": 1}


def test_a_result_takes_its_place_and_the_work_is_forgotten(capsys):
    Path("data/comparison/plan").mkdir(parents=True)
    for name in (RUN.name, "hybrid-small-2"):
        content = {"run": {**asdict(RUN), "name": name}, "phases": {}}
        Path(f"data/comparison/plan/{name}.yaml").write_text(yaml.safe_dump(content))
    assert running.main([RUN.name]) == 0
    assert json.loads(Path("data/comparison/runs/hybrid-small-1/metrics.json").read_text())["diverged"] is None
    assert Path("data/comparison/runs/hybrid-small-1/curves.csv").read_text().count("\n") == 3
    assert not (running.WORK / RUN.name).exists()
    assert "1 of 2 runs are there, ETA" in capsys.readouterr().out


def test_a_training_that_diverges_is_a_result_and_any_other_failure_an_error(monkeypatch):
    Path("diverges.py").write_text(
        "import sys; print('error: more than skipped_steps_max = 10\\nthe launcher: failed'); sys.exit(3)")
    Path("fails.py").write_text("import sys; print('error: no such file'); sys.exit(2)")
    monkeypatch.setattr(running, "FINETUNE", "diverges")
    outcome = running.carry_out(RUN, {"phases": {}})
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
