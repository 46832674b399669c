"""A disk that refuses, in every stage: one line, the outputs as they were, and the next run is whole."""

import resource
import shutil
import signal
import subprocess
import sys

import pytest

from tests.faults.kills import IN_ORDER
from tests.faults.outputs import outputs

LARGEST_FILE_BYTES = 2048
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


def refuse_large_files() -> None:
    """Stand for a disk without room; what Python makes of the signal stays an error of the write."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE_BYTES, resource.RLIM_INFINITY))


@pytest.mark.full
@pytest.mark.faults("no room on the disk, in every stage (a limit on the size of files)",
                    "one line says so, exit status 2; the outputs are as they were")
def test_a_full_disk_is_one_line_in_every_stage_and_changes_no_output(unrecorded, seen):
    shutil.rmtree(unrecorded.folder / ".resume", ignore_errors=True)
    before = outputs(unrecorded.folder)
    wrong = {}
    for stage in IN_ORDER:
        run = subprocess.run(command_of(stage), cwd=unrecorded.folder, env=unrecorded.environment(OMP_NUM_THREADS="1"),
                             preexec_fn=refuse_large_files, capture_output=True, text=True)
        told = [line for line in run.stderr.splitlines() if line.startswith("error: ")]
        if run.returncode != 2 or len(told) != 1 or "cannot write" not in told[0] or "Traceback" in run.stderr:
            wrong[stage] = (run.returncode, run.stderr[-500:])
    assert wrong == {}
    assert outputs(unrecorded.folder) == before
    seen(f"in {len(IN_ORDER)} stages: 'error: ... cannot write: File too large'")


@pytest.mark.full
@pytest.mark.faults("data/ read-only", "one line says so, exit status 2")
def test_a_read_only_folder_is_one_line(unrecorded):
    if subprocess.run([*READ_ONLY, "true"], cwd=unrecorded.folder, capture_output=True).returncode:
        pytest.skip("this system lets nobody mount a folder")
    for stage in ("prepare_corpus", "evaluate_speech_base", "export_model"):
        run = subprocess.run([*READ_ONLY, *command_of(stage)], cwd=unrecorded.folder, capture_output=True, text=True,
                             env=unrecorded.environment(OMP_NUM_THREADS="1"))
        assert run.returncode == 2 and "Traceback" not in run.stderr, run.stderr
        assert "Read-only file system" in run.stderr.splitlines()[-1]
