"""kill -9 of the trainer: the next start goes on from the last saved step, to the same bytes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from stages.core.params.shared import TrackingConfig
from stages.core.tracking.mlflow_store import open_store
from tests.tiny_project import ROOT, make_project

TRAIN = [sys.executable, "-m", "stages", "finetune", "--phase", "full"]


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """A tiny project up to its features; the phase is long enough to be killed in the middle."""
    folder = tmp_path_factory.mktemp("kill")
    params = make_project(folder)
    params["phases"] = {"full": params["phases"]["full"] | {"start_from": "base", "epochs": 30}}
    params["export_model"]["phase"] = "full"
    params["finetune"]["log_every_steps"] = 1
    params["machine"] |= {"save_every_seconds": 0.05, "keep_states": 1}
    (folder / "params.yaml").write_text(yaml.safe_dump(params, allow_unicode=True))
    for stage in ("prepare_corpus", "train_vocabulary", "extract_features"):
        subprocess.run([sys.executable, "-m", "stages", stage], cwd=folder, env=environment(), check=True)
    return folder


def environment():
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def saved_states(folder: Path) -> list[Path]:
    return list((folder / ".resume").glob("finetune@full/*/state-*.safetensors"))


def kill_after_saves(folder: Path, saves: int) -> None:
    """Start the trainer, kill it hard once it has saved so often."""
    with subprocess.Popen(TRAIN, cwd=folder, env=environment(), stdout=subprocess.DEVNULL) as trainer:
        seen: set[int] = set()
        deadline = time.monotonic() + 120
        while len(seen) < saves and trainer.poll() is None and time.monotonic() < deadline:
            seen |= {path.stat().st_mtime_ns for path in saved_states(folder)}
            time.sleep(0.002)
        assert trainer.poll() is None, "the trainer ended before it was killed"
        trainer.send_signal(signal.SIGKILL)


def test_killed_trainings_end_in_the_bytes_of_an_undisturbed_one(ready, monkeypatch):
    kill_after_saves(ready, saves=3)
    assert not (ready / "data/checkpoints/full").exists()
    kill_after_saves(ready, saves=8)
    done = subprocess.run(TRAIN, cwd=ready, env=environment(), capture_output=True, text=True, check=True)
    interrupted = {path.name: path.read_bytes() for path in (ready / "data/checkpoints/full").iterdir()}

    monkeypatch.chdir(ready)
    client, experiment = open_store(TrackingConfig(uri="sqlite:///mlflow.db", experiment="amharic-indextts2"))
    runs = [run for run in client.search_runs([experiment]) if run.info.run_name == "finetune@full"]
    assert len(runs) == 1, "a resumed phase continues its run"
    steps = [point.step for point in client.get_metric_history(runs[0].info.run_id, "loss")]
    assert len(steps) == len(set(steps)) == json.loads(interrupted["summary.json"])["steps"]

    for path in saved_states(ready):
        path.unlink()
    subprocess.run(TRAIN, cwd=ready, env=environment(), check=True, stdout=subprocess.DEVNULL)
    undisturbed = {path.name: path.read_bytes() for path in (ready / "data/checkpoints/full").iterdir()}
    assert interrupted == undisturbed
    assert "continues at step" in done.stdout
