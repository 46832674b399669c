"""`make slurm-check`: the schedule through a real Slurm, a training preempted on the way, the bytes of a local run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.outputs import outputs
from tests.faults.real_project import RealProject
from tests.processes import saved_step, wait_for
from tests.slurm.cluster import ask, one_machine_slurm, what_is_missing

pytestmark = [pytest.mark.slurm, pytest.mark.slow,
              pytest.mark.skipif(bool(what_is_missing()), reason=f"needs {what_is_missing()}")]

SUBMIT = ("snakemake --profile profiles/slurm --slurm-no-account --slurm-init-seconds-before-status-checks 2 "
          "--slurm-keep-successful-logs --set-resources extract_features:gpu=0 finetune:gpu=0 evaluate_speech:gpu=0 "
          "evaluate_speech_base:gpu=0 --default-resources mem_mb=1000 runtime=60 slurm_partition='normal' -- all")
PREEMPTED, EPOCHS = "full", 150
MOST_SECONDS = 1500


@pytest.fixture
def slurm():
    with one_machine_slurm() as environment:
        yield environment


@pytest.fixture
def local(tmp_path):
    """A schedule with one phase that is long enough to be preempted, run without a cluster."""
    project = RealProject.create(tmp_path / "local")
    project.edit_params(lambda params: params["phases"][PREEMPTED].update(epochs=EPOCHS))
    return project


@pytest.fixture
def submitted(slurm, local, tmp_path):
    """The same schedule, on its way through Slurm."""
    cluster = local.copy(tmp_path / "cluster")
    path = f"{Path(sys.executable).parent}{os.pathsep}{slurm['PATH']}"
    process = cluster.start(SUBMIT, SLURM_CONF=slurm["SLURM_CONF"], PATH=path)
    yield cluster, process
    process.kill()


def preempt(slurm, folder):
    """Submit what needs the whole machine and goes before; give the job that ran until then."""
    [job] = ask(slurm, "squeue", "--noheader", "--states=running", "--format=%A").split()
    urgent = ["sbatch", "--partition=urgent", "--exclusive", "--output=/dev/null", "--wrap=sleep 1"]
    subprocess.run(urgent, env=slurm, cwd=folder, check=True, capture_output=True)
    return job


def test_a_schedule_with_a_preempted_training_ends_in_the_bytes_of_a_local_run(slurm, local, submitted, tmp_path):
    cluster, process = submitted
    wait_for(lambda: saved_step(cluster.folder, PREEMPTED) > 10, MOST_SECONDS, 0.1, process,
             lambda: process.communicate(timeout=MOST_SECONDS)[0][-5000:])
    job = preempt(slurm, tmp_path)
    said, _ = process.communicate(timeout=MOST_SECONDS)
    assert process.returncode == 0, said[-5000:]
    told = ask(slurm, "scontrol", "show", "job", job)
    assert "Restarts=1" in told and "JobState=COMPLETED" in told, told
    log = "".join(path.read_text() for path in (cluster.folder / ".snakemake/slurm_logs").rglob(f"{job}.log"))
    [stopped] = [line for line in log.splitlines() if "stopped by SIGTERM at step" in line]
    step = stopped.partition("at step ")[2].partition(";")[0]
    assert f"continues at step {step}" in log
    print(f"job {job} preempted at step {step}, requeued, continued there")

    alone = local.start("snakemake --cores 2 all")
    said, _ = alone.communicate(timeout=MOST_SECONDS)
    assert alone.returncode == 0, said[-5000:]
    result = outputs(local.folder)
    assert outputs(cluster.folder) == result and len(result) > 100
    assert cluster.is_clean() and cluster.plan() == []
    print(f"{len(result)} files with the bytes of a local run")
