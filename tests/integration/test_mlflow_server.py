"""A tracking server of its own that is away, slow or killed: training goes on, and the record is whole in the end."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from mlflow.tracking import MlflowClient
from mlflow_server import Server, SlowProxy
from postgres import Postgres, what_is_missing

from stages.core.tracking.mlflow_store import PARENT_TAG
from stages.core.tracking.outbox import SEND_SECONDS
from tests.params_file import edit_params
from tests.processes import saved_step, threads_of, wait_for
from tests.tiny_job import make_workplace
from tests.tiny_project import ROOT

pytestmark = pytest.mark.slow

EXPERIMENT = "amharic-indextts2"
EPOCHS = 100
OUTAGE = "MLflow: cannot write to"
CONCURRENT = """
from stages.core.tracking.mlflow_runs import stage_run
with stage_run("finetune@phase{}", {{"epochs": 1}}) as run:
    for step in range(20):
        run.log_metrics({{"loss": 1.0}}, step=step)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def database():
    if what_is_missing():
        pytest.skip(f"needs {what_is_missing()}")
    database = Postgres()
    database.start()
    yield database
    database.remove()


@pytest.fixture(scope="module")
def over_postgres(database, tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"), database.uri)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def place(tmp_path, server):
    """A phase of 400 steps that logs every step, saved as often as can be."""
    make_workplace(tmp_path)
    lay_out(tmp_path, server.uri)
    return tmp_path


@pytest.fixture
def place_over_postgres(tmp_path, over_postgres):
    make_workplace(tmp_path)
    lay_out(tmp_path, over_postgres.uri)
    return tmp_path


def lay_out(folder, uri, epochs=EPOCHS):
    def change(params):
        params["phases"] = {"full": {**params["phases"]["full"], "start_from": "base", "epochs": epochs}}
        params["export_model"]["phase"] = "full"
        params["finetune"]["log_every_steps"] = 1
        params["machine"]["save_every_seconds"] = 0.1
        params["tracking"] = {"uri": uri, "experiment": f"{EXPERIMENT}-{folder.name}"}

    edit_params(folder, change)


class Training:
    """The stage as a process; what it says on stderr is read as it comes."""

    def __init__(self, folder):
        command = [sys.executable, "-m", "stages", "finetune", "--phase", "full"]
        self.folder, self.said = folder, ""
        self.process = subprocess.Popen(command, cwd=folder, env=threads_of(1), stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stderr:
            self.said += line

    def step(self):
        """The last saved step."""
        return saved_step(self.folder)

    def wait_until(self, condition, seconds=120):
        wait_for(condition, seconds, 0.01, self.process, lambda: self.said)

    def pause(self):
        """Stand still until the next sending is due."""
        self.process.send_signal(signal.SIGSTOP)
        time.sleep(SEND_SECONDS + 0.5)
        self.process.send_signal(signal.SIGCONT)

    def end(self):
        """Wait for its end; exit status."""
        status = self.process.wait(timeout=300)
        self._reader.join()
        return status


def recorded(server, folder):
    """The one run of the phase, and the steps of its loss."""
    client = MlflowClient(server.uri)
    experiment = client.get_experiment_by_name(f"{EXPERIMENT}-{folder.name}")
    [run] = [run for run in client.search_runs([experiment.experiment_id]) if run.info.run_name == "finetune@full"]
    return run, [point.step for point in client.get_metric_history(run.info.run_id, "loss")]


def tokens_of_every_step(folder):
    rows = (folder / "data/checkpoints/full/curves.csv").read_text().splitlines()
    at = {name: place for place, name in enumerate(rows[0].split(","))}
    cells = [row.split(",") for row in rows[1:]]
    return [int(row[at["tokens_seen"]]) for row in cells if row[at["loss"]]]


def assert_whole(server, folder):
    run, steps = recorded(server, folder)
    assert run.info.status == "FINISHED" and steps == tokens_of_every_step(folder)
    files = {file.path for file in MlflowClient(server.uri).list_artifacts(run.info.run_id)}
    assert files == {"config.yaml", "curves.csv"} and run.data.tags["started_from"] == "base"


@pytest.mark.faults("MLflow server: down at the start",
                    "one line, exit status 2, before a step is trained")
def test_a_server_that_is_down_at_the_start_is_told_before_anything_is_trained(tmp_path, server):
    make_workplace(tmp_path)
    lay_out(tmp_path, "http://127.0.0.1:9")
    began = time.monotonic()
    training = Training(tmp_path)
    assert training.end() == 2 and time.monotonic() - began < 60
    [line] = training.said.splitlines()
    assert "tracking.uri: cannot open the MLflow store (got 'http://127.0.0.1:9')" in line
    assert training.step() == -1


@pytest.mark.faults("MLflow server: killed in mid-run, back before the end",
                    "training goes on, one warning, the record is whole")
def test_a_server_killed_in_mid_run_misses_nothing_when_it_is_back(place, server):
    run_through_an_outage(place, server, server)


@pytest.mark.faults("MLflow server over Postgres: the database killed in mid-run, back before the end",
                    "training goes on, one warning, the record is whole")
def test_a_database_killed_in_mid_run_misses_nothing_when_it_is_back(place_over_postgres, over_postgres, database):
    run_through_an_outage(place_over_postgres, over_postgres, database)


def run_through_an_outage(place, server, killed):
    training = Training(place)
    training.wait_until(lambda: training.step() > 20)
    killed.kill()
    training.pause()
    training.wait_until(lambda: OUTAGE in training.said)
    met = training.step()
    training.wait_until(lambda: training.step() > met)
    training.process.send_signal(signal.SIGSTOP)
    killed.start()
    training.process.send_signal(signal.SIGCONT)
    assert training.end() == 0
    assert_whole(server, place)
    told = [line for line in training.said.splitlines() if "MLflow" in line]
    assert [line.startswith(OUTAGE) for line in told].count(True) == 1 and len(told) <= 2, training.said


@pytest.mark.faults("MLflow server: killed in mid-run, back after the end",
                    "training ends well; what was kept is sent later, whole")
def test_a_server_that_stays_down_costs_no_trained_phase_and_gets_the_record_later(place, server):
    training = Training(place)
    training.wait_until(lambda: training.step() > 20)
    server.kill()
    began = time.monotonic()
    try:
        assert training.end() == 0 and time.monotonic() - began < 200
        assert (place / "data/checkpoints/full/model.safetensors").is_file()
        told = [line for line in training.said.splitlines() if "MLflow" in line]
        assert len(told) == 2 and "sent when the store is back" in told[0] and "`python -m stages.core" in told[1]
    finally:
        server.start()
    said = subprocess.run([sys.executable, "-m", "stages.core.tracking.kept"], cwd=place, check=True, text=True,
                          env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True).stdout
    assert f"sent to {server.uri}" in said
    assert_whole(server, place)


@pytest.mark.faults("MLflow server: answers after 8 seconds",
                    "no step waits for it")
def test_no_step_waits_for_a_server_that_hangs(place, server):
    with SlowProxy(server.port) as proxy:
        lay_out(place, proxy.uri)
        training = Training(place)
        training.wait_until(lambda: training.step() > 20)
        proxy.delay_seconds = 8.0
        training.pause()
        met, began = training.step(), time.monotonic()
        training.wait_until(lambda: training.step() > met + 50)
        assert time.monotonic() - began < proxy.delay_seconds
        proxy.delay_seconds = 0.0
        assert training.end() == 0 and "MLflow" not in training.said
        proxy.shutdown()
    assert_whole(server, place)


@pytest.mark.faults("MLflow server: a training preempted and resumed",
                    "one run, whole")
def test_a_preempted_phase_continues_its_run_on_the_server(place, server):
    first = Training(place)
    first.wait_until(lambda: first.step() > 20)
    first.process.send_signal(signal.SIGTERM)
    assert first.end() == 128 + signal.SIGTERM
    before, steps = recorded(server, place)
    assert before.info.status == "KILLED" and len(steps) > 20
    assert Training(place).end() == 0
    assert recorded(server, place)[0].info.run_id == before.info.run_id
    assert_whole(server, place)


@pytest.mark.faults("MLflow server: four stages at the same time",
                    "each its run, under one parent")
def test_stages_at_the_same_time_share_one_schedule(place, server):
    run_four_stages_at_once(place, server)


@pytest.mark.faults("MLflow server over Postgres: four stages at the same time",
                    "each its run, under one parent")
def test_stages_at_the_same_time_share_one_schedule_in_postgres(place_over_postgres, over_postgres):
    run_four_stages_at_once(place_over_postgres, over_postgres)


def run_four_stages_at_once(place, server):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    stages = [subprocess.Popen([sys.executable, "-c", CONCURRENT.format(number)], cwd=place, env=environment)
              for number in range(4)]
    assert [stage.wait(timeout=120) for stage in stages] == [0] * 4
    client = MlflowClient(server.uri)
    held = client.search_runs([client.get_experiment_by_name(f"{EXPERIMENT}-{place.name}").experiment_id])
    assert {run.info.status for run in held} == {"FINISHED"}
    assert sum(PARENT_TAG in run.data.tags for run in held) == 4 and len(held) == 5
    counts = [len(client.get_metric_history(run.info.run_id, "loss")) for run in held if PARENT_TAG in run.data.tags]
    assert counts == [20] * 4
