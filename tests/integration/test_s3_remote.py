"""DVC's remote on an S3-compatible store: moto's server, a process of its own on the loopback."""

import os
import subprocess
import sys
import time
import urllib.request
from importlib.util import find_spec
from pathlib import Path

import pytest
from engine_project import GIT, EngineProject

from tests.processes import free_port

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (find_spec("dvc_s3") and find_spec("moto")), reason="no S3 here; to add it: "
                       "python3 workflow/setup.py --extra s3 --extra s3-server"),
]

BUCKET = "amharic"
KEY, SECRET = "planted-access-key", "planted-secret-key"
LOCAL = Path(".dvc/config.local")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Address of an S3 service that holds an empty bucket."""
    address = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", address.rpartition(":")[2]]
    with open(tmp_path_factory.mktemp("s3") / "log", "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        make_bucket(address)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)


def make_bucket(address, most_seconds=60):
    deadline = time.monotonic() + most_seconds
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(f"{address}/{BUCKET}", method="PUT"), timeout=10):
                return
        except OSError:
            assert time.monotonic() < deadline, "moto's server does not answer"
            time.sleep(0.1)


def commit(project, message):
    project.run("git add -A .")
    project.run(f"{GIT} commit -qm {message}")


def set_credentials(project):
    """What docs/clusters.md tells: each person's own, in a file that git ignores."""
    project.run(f"dvc remote modify --local store access_key_id {KEY}")
    project.run(f"dvc remote modify --local store secret_access_key {SECRET}")


def clone(project, folder):
    subprocess.run(["git", "clone", "-q", project.folder, folder], check=True)
    return EngineProject(folder)


@pytest.fixture(scope="module")
def shared(finished_project, store, tmp_path_factory):
    """A finished schedule whose results were pushed, and what that said."""
    project = finished_project.copy(tmp_path_factory.mktemp("shared") / "project")
    project.run(f"dvc remote add -d store s3://{BUCKET}/cache")
    project.run(f"dvc remote modify store endpointurl {store}")
    set_credentials(project)
    said = project.run("dvc push --run-cache")
    commit(project, "results")
    return project, said


@pytest.mark.faults("S3-compatible remote (moto): a fresh clone, dvc pull",
                    "nothing runs, in either engine")
def test_a_fresh_clone_pulls_and_has_nothing_to_run(shared, tmp_path):
    project, _ = shared
    other = clone(project, tmp_path / "clone")
    set_credentials(other)
    other.run("dvc pull")
    for name in ("data/checkpoints/polish", "data/features", "reports"):
        assert (other.folder / name).is_dir(), name
    before = len(other.executions())
    assert other.plan() == [] and other.is_clean()
    assert other.snakemake() == [] and other.dvc() == [] and len(other.executions()) == before


@pytest.mark.faults("S3-compatible remote (moto): a fresh clone without dvc pull",
                    "snakemake fetches the results; nothing runs")
def test_what_somebody_else_made_is_pulled_by_the_run_itself(shared, tmp_path):
    """Without `dvc pull`, Snakemake's rules look into the remote's run cache before they run anything."""
    project, _ = shared
    other = clone(project, tmp_path / "clone")
    set_credentials(other)
    assert other.snakemake() == []
    assert (other.folder / "data/checkpoints/polish").is_dir()


@pytest.mark.faults("S3-compatible remote (moto): credentials in .dvc/config.local",
                    "in no other file, in nothing that is said")
def test_credentials_are_in_no_other_file_and_in_nothing_that_is_said(shared):
    project, said = shared
    said += project.run("dvc status -c") + project.run("dvc push -v") + project.run("snakemake --cores 2 all")
    assert SECRET not in said and KEY not in said
    assert SECRET in (project.folder / LOCAL).read_text() and str(LOCAL) not in project.run("git ls-files")
    assert [path for path in holders(project.folder) if path != LOCAL] == []


def holders(folder):
    """Files that hold a credential."""
    found = (Path(place, name) for place, _, names in os.walk(folder) for name in names)
    return [path.relative_to(folder) for path in found if path.is_file()
            and any(text.encode() in path.read_bytes() for text in (KEY, SECRET))]


@pytest.mark.faults("S3-compatible remote (moto): a colleague changes one phase and pushes; git pull, dvc pull",
                    "nothing runs")
def test_one_changes_a_phase_and_the_other_pulls_it(shared, tmp_path):
    project, _ = shared
    other = clone(project, tmp_path / "clone")
    set_credentials(other)
    other.run("dvc pull")
    other.edit_params(lambda params: params["phases"]["polish"].update(epochs=params["phases"]["polish"]["epochs"] + 1))
    changed = other.snakemake()
    assert "finetune@polish" in changed and "finetune@lora" not in changed
    other.run("dvc push --run-cache")
    commit(other, "polish")
    project.run(f"git pull -q --no-rebase {other.folder} HEAD")
    project.run("dvc pull")
    assert project.snakemake() == [] and project.dvc() == []
