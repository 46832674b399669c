"""The trainer killed, stopped and continued, as real processes: the same bytes, one MLflow run, no step twice."""

import json
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from stages.core.errors import Diverged
from stages.core.params.shared import TrackingConfig
from stages.core.tracking.mlflow_store import open_store
from tests.params_file import edit_params
from tests.processes import saved_step, threads_of, wait_for
from tests.tiny_job import make_workplace

TRAIN = [sys.executable, "-m", "stages", "finetune", "--phase", "full"]
KILLS, EPOCHS = 3, 60
GRACE_SECONDS = 30  # Slurm's default between SIGTERM and SIGKILL (KillWait)


@pytest.fixture()
def place(tmp_path):
    """A phase of 60 epochs of several steps, saved as often as can be, with a figure a step."""
    make_workplace(tmp_path)
    edit_params(tmp_path, train_full_alone)
    return tmp_path


def train_full_alone(params) -> None:
    params["phases"] = {"full": params["phases"]["full"] | {"start_from": "base", "epochs": EPOCHS}}
    params["export_model"] |= {"phase": "full"}
    params["finetune"] |= {"log_every_steps": 1}
    params["machine"] |= {"save_every_seconds": 0.02}


def change_params(folder: Path, section: str, changes) -> None:
    edit_params(folder, lambda params: params[section].update(changes))


def stop_at(folder: Path, step: int, number: signal.Signals, whole_job: bool = False) -> tuple[int, float, str]:
    """Start the trainer and send it a signal once it has saved `step`; exit status, seconds it took, stderr.

    Args:
        whole_job: send it to every process that the trainer started too, as Slurm and systemd do.
    """
    with subprocess.Popen(TRAIN, cwd=folder, env=threads_of(1), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          text=True) as trainer:
        wait_for(lambda: saved_step(folder) >= step, 600, 0.001, trainer)
        assert trainer.poll() is None, "the trainer ended before it was stopped"
        began = time.monotonic()
        for process in processes_in(folder) if whole_job else [trainer]:
            process.send_signal(number)
        _, said = trainer.communicate(timeout=60)
        return trainer.returncode, time.monotonic() - began, said


def train(folder: Path) -> dict[str, bytes]:
    """Train to the end; the bytes of the phase's folder."""
    subprocess.run(TRAIN, cwd=folder, env=threads_of(1), check=True, stdout=subprocess.DEVNULL)
    return {path.name: path.read_bytes() for path in (folder / "data/checkpoints/full").iterdir()}


def runs_of(folder: Path, monkeypatch):
    monkeypatch.chdir(folder)
    uri = f"sqlite:///{folder}/mlflow.db"
    client, experiment = open_store(TrackingConfig(uri=uri, experiment="amharic-indextts2"))
    return client, [run for run in client.search_runs([experiment]) if run.info.run_name == "finetune@full"]


@pytest.mark.faults("kill -9 of a training three times, at random steps",
                    "the same bytes, one MLflow run, no step twice")
def test_killed_trainings_end_in_the_bytes_of_an_undisturbed_one(place, monkeypatch):
    moments = sorted(random.Random(time.time_ns()).sample(range(1, EPOCHS * 4), KILLS))
    for moment in moments:
        stop_at(place, moment, signal.SIGKILL)
        assert not (place / "data/checkpoints/full").exists()
    interrupted = train(place)

    client, runs = runs_of(place, monkeypatch)
    assert len(runs) == 1, "a resumed phase continues its run"
    for metric in ("loss", "validation_code_cross_entropy"):
        met = [point.step for point in client.get_metric_history(runs[0].info.run_id, metric)]
        assert len(met) == len(set(met)), f"{metric} has double steps after kills at {moments}"
    assert json.loads(interrupted["summary.json"])["epochs"] == EPOCHS

    for path in (place / ".resume").rglob("*.safetensors"):
        path.unlink()
    assert interrupted == train(place), f"killed at the steps {moments}"


@pytest.mark.faults("SIGTERM to a training",
                    "saved in time, goes on at that step")
@pytest.mark.parametrize("processes, whole_job", [(1, False), (2, False), (2, True)])
def test_a_preempted_training_saves_in_the_time_it_is_given_and_continues(place, monkeypatch, processes, whole_job):
    change_params(place, "machine", {"save_every_seconds": 0.5, "processes": processes})
    status, seconds, said = stop_at(place, 20, signal.SIGTERM, whole_job)
    assert status == 128 + signal.SIGTERM and seconds < GRACE_SECONDS
    at = saved_step(place)
    assert f"stopped by SIGTERM at step {at}" in said and not (place / "data/checkpoints/full").exists()
    _, runs = runs_of(place, monkeypatch)
    assert [run.info.status for run in runs] == ["KILLED"]
    done = subprocess.run(TRAIN, cwd=place, env=threads_of(1), check=True, capture_output=True, text=True)
    assert f"continues at step {at}" in done.stdout
    _, runs = runs_of(place, monkeypatch)
    assert [run.info.status for run in runs] == ["FINISHED"]


def test_a_killed_launcher_leaves_no_process_that_trains_on_and_the_next_start_waits_for_those(place):
    change_params(place, "machine", {"processes": 2})
    status, _, _ = stop_at(place, 5, signal.SIGKILL)
    assert status == -signal.SIGKILL
    assert "summary.json" in train(place)
    assert not processes_in(place)


def test_several_processes_end_with_the_status_and_the_words_of_the_one_that_failed(place):
    change_params(place, "machine", {"processes": 2})
    change_params(place, "finetune", {"gradient_norm_max": 1e-9, "skipped_steps_max": 1})
    done = subprocess.run(TRAIN, cwd=place, env=threads_of(1), capture_output=True, text=True)
    assert done.returncode == Diverged.status and "error: more than skipped_steps_max = 1" in done.stderr


def processes_in(folder: Path) -> list[psutil.Process]:
    """What runs in a folder."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if Path(process.cwd()) == folder and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found
