"""A disk that refuses, in every stage and under the engines: told, no output harmed, and the next run is whole."""

import resource
import shutil
import signal
import subprocess
import sys
from functools import partial

import pytest

from tests.faults.kills import SCHEDULE
from tests.faults.outputs import outputs

LARGEST_FILE_BYTES = 2048
REFUSED_BYTES = (100, 1000, 4000, 30_000)
READ_ONLY = ("unshare", "--map-root-user", "--mount", "sh", "-c",
             'mount --bind data data && mount -o remount,bind,ro data && exec "$@"', "sh")


@pytest.fixture
def unrecorded(undisturbed, tmp_path):
    """A copy of the finished schedule that records nothing: the store is a file that grows too."""
    project = undisturbed.finished.copy(tmp_path / "unrecorded")
    project.edit_params(lambda params: params["tracking"].update(uri="none"))
    return project


def command_of(stage: str) -> list[str]:
    """What DVC runs."""
    name, _, phase = stage.replace("_base", "@base").partition("@")
    return [sys.executable, "-m", "stages", name, *(["--phase", phase] if phase else [])]


def refuse_large_files(largest_bytes: int = LARGEST_FILE_BYTES) -> None:
    """Stand for a disk without room; what Python makes of the signal stays an error of the write."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest_bytes, resource.RLIM_INFINITY))


@pytest.mark.full
@pytest.mark.faults("no room on the disk, in every stage (a limit on the size of files, real stages)",
                    "one line says so, exit status 2; the outputs are as they were")
def test_a_full_disk_is_one_line_in_every_stage_and_changes_no_output(unrecorded, seen):
    shutil.rmtree(unrecorded.folder / ".resume", ignore_errors=True)
    before = outputs(unrecorded.folder)
    wrong = {}
    for stage in SCHEDULE:
        run = subprocess.run(command_of(stage), cwd=unrecorded.folder, env=unrecorded.environment(OMP_NUM_THREADS="1"),
                             preexec_fn=refuse_large_files, capture_output=True, text=True)
        told = [line for line in run.stderr.splitlines() if line.startswith("error: ")]
        if run.returncode != 2 or len(told) != 1 or "cannot write" not in told[0] or "Traceback" in run.stderr:
            wrong[stage] = (run.returncode, run.stderr[-500:])
    assert wrong == {}
    assert outputs(unrecorded.folder) == before
    seen(f"in {len(SCHEDULE)} stages: 'error: ... cannot write: File too large'")


@pytest.mark.full
@pytest.mark.faults("data/ read-only (real stages)", "one line says so, exit status 2")
def test_a_read_only_folder_is_one_line(unrecorded):
    if subprocess.run([*READ_ONLY, "true"], cwd=unrecorded.folder, capture_output=True).returncode:
        pytest.skip("this system lets nobody mount a folder")
    for stage in ("prepare_corpus", "evaluate_speech_base", "export_model"):
        run = subprocess.run([*READ_ONLY, *command_of(stage)], cwd=unrecorded.folder, capture_output=True, text=True,
                             env=unrecorded.environment(OMP_NUM_THREADS="1"))
        assert run.returncode == 2 and "Traceback" not in run.stderr, run.stderr
        [told] = [line for line in run.stderr.splitlines() if line.startswith("error: ")]
        assert "Read-only file system" in told


@pytest.mark.full
@pytest.mark.faults("no room on the disk under Snakemake and DVC (a limit on the size of files, stand-in stages)",
                    "the run fails; with room again the next one ends in the bytes of an undisturbed one")
def test_engines_on_a_full_disk_leave_a_tree_that_runs_again(fresh_project, finished_project, seen):
    for largest_bytes in REFUSED_BYTES:
        run = subprocess.run(["snakemake", "--cores", "2", "all"], cwd=fresh_project.folder, capture_output=True,
                             env=fresh_project.environment(), preexec_fn=partial(refuse_large_files, largest_bytes))
        assert run.returncode != 0, f"{largest_bytes} bytes are enough"
    fresh_project.snakemake("--cores 2 all")
    assert fresh_project.is_clean() and fresh_project.snakemake("--cores 2 all") == []
    assert outputs(fresh_project.folder) == outputs(finished_project.folder)
    seen(f"no file over {', '.join(map(str, REFUSED_BYTES))} bytes, one after the other")
