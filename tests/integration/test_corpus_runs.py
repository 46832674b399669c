"""Preparing a corpus, as real processes: killed, stopped, without room on the disk, and with more rows the next day."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import soundfile

from stages.core.artifacts.files import read_jsonl
from tests.corpora import write_lines
from tests.processes import threads_of, wait_for
from tests.recorded_project import HOME, MANIFEST, make_recorded_project, manifest_lines, write_recordings

pytestmark = pytest.mark.slow

PREPARE = [sys.executable, "-m", "stages", "prepare_corpus"]
ROWS = 340


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A project in which nothing is prepared yet."""
    folder = tmp_path_factory.mktemp("corpus") / "project"
    make_recorded_project(folder, ROWS)
    return folder


@pytest.fixture(scope="module")
def prepared(recorded):
    """The same in another folder, prepared without a disturbance."""
    folder = copy_of(recorded, recorded.with_name("prepared"))
    assert "rows are there" not in prepare(folder)
    return folder


@pytest.fixture
def fresh(recorded, tmp_path):
    return copy_of(recorded, tmp_path / "project")


@pytest.fixture
def yesterdays(prepared, tmp_path):
    return copy_of(prepared, tmp_path / "project")


def copy_of(folder: Path, target: Path) -> Path:
    """Copy a project with its times and hard links."""
    subprocess.run(["cp", "-a", folder, target], check=True)
    return target


def finished_shards(folder: Path) -> int:
    return len(list(folder.glob(".resume/prepare_corpus/*/made.jsonl")) if (folder / ".resume").exists() else [])


def start(folder: Path, processes=1) -> subprocess.Popen:
    return subprocess.Popen(PREPARE, cwd=folder, env=threads_of(processes), stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True, start_new_session=True)


def wait_for_shards(folder: Path, count: int, run: subprocess.Popen) -> list[psutil.Process]:
    """Wait until so many shards are finished; the processes of the run."""
    wait_for(lambda: finished_shards(folder) >= count, 600, 0.001, run, lambda: run.communicate(timeout=60)[1])
    assert run.poll() is None, f"the run ended before it was stopped: {run.stderr.read()}"
    return psutil.Process(run.pid).children(recursive=True)


def prepare(folder: Path) -> str:
    """Run to the end; what it told."""
    run = subprocess.run(PREPARE, cwd=folder, env=threads_of(2), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


def content(folder: Path) -> dict[str, bytes]:
    corpus = folder / "data/corpus"
    return {str(path.relative_to(corpus)): path.read_bytes() for path in corpus.rglob("*") if path.is_file()}


def rows_of(folder: Path):
    return read_jsonl(folder / "data/corpus/manifest.jsonl")


@pytest.mark.faults("kill -9, SIGINT, SIGTERM to prepare_corpus",
                    "goes on by the shard; the same bytes")
def test_killed_and_stopped_runs_end_in_the_bytes_of_an_undisturbed_one(fresh, prepared):
    with start(fresh) as run:
        family = wait_for_shards(fresh, 1, run)
        run.kill()
        _, alive = psutil.wait_procs(family, timeout=10)
        assert len(family) >= 2 and not alive, "processes outlive a killed run"
    for count, number in ((2, signal.SIGINT), (3, signal.SIGTERM)):
        with start(fresh) as run:
            wait_for_shards(fresh, count, run)
            os.killpg(run.pid, number)
            _, said = run.communicate(timeout=60)
        assert run.returncode == 128 + number
        told = [line for line in said.splitlines() if "mlflow" not in line]
        assert told == [f"stopped by {number.name}; the next start goes on from there"]
        assert not (fresh / "data/corpus").exists() and not list((fresh / ".resume").rglob("*.partial"))
    kept = finished_shards(fresh)
    assert "rows are there" in prepare(fresh) and finished_shards(fresh) > kept >= 3
    assert content(fresh) == content(prepared) and len(rows_of(fresh)) == ROWS


def test_a_dead_worker_is_one_clear_line_and_the_next_run_goes_on(fresh):
    with start(fresh) as run:
        family = wait_for_shards(fresh, 1, run)
        [worker] = [process for process in family if process.ppid() != run.pid]
        worker.kill()
        _, said = run.communicate(timeout=60)
    assert run.returncode == 2 and "error: a process died while it made one of" in said and "Traceback" not in said
    assert not (fresh / "data/corpus").exists()
    assert "rows are there" in prepare(fresh) and len(rows_of(fresh)) == ROWS


@pytest.mark.faults("a disk of 2 MiB under prepare_corpus",
                    "one line says so, its room is given back")
def test_a_full_disk_is_one_clear_line_and_gives_its_room_back(fresh):
    (fresh / ".resume").mkdir()
    script = ('mount -t tmpfs -o size=2m tmpfs .resume && "$@"; status=$?; ls -d .resume/prepare_corpus/*; '
              "exit $status")
    tiny_disk = ["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh"]
    if subprocess.run([*tiny_disk, "true"], cwd=fresh, capture_output=True).returncode not in (0, 2):
        pytest.skip("this system lets nobody mount a small disk")
    run = subprocess.run([*tiny_disk, *PREPARE], cwd=fresh, env=threads_of(1), capture_output=True, text=True)
    assert run.returncode == 2 and "Traceback" not in run.stderr
    assert "No space left on device" in run.stderr.splitlines()[-1] and not (fresh / "data/corpus").exists()
    assert ".partial" not in run.stdout and "/plan" not in run.stdout, "what is half-done still takes the room"


def test_more_rows_redo_only_the_shards_that_they_fall_into_and_move_no_row(yesterdays, prepared):
    added = 30
    write_recordings(yesterdays, ROWS, ROWS + added)
    old, new = manifest_lines(0, ROWS), manifest_lines(ROWS, ROWS + added)
    write_lines(yesterdays / MANIFEST, [*old[:200], new[0], *old[200:], *new[1:]])
    told = prepare(yesterdays)
    after = {row["id"]: row for row in rows_of(yesterdays)}
    assert len(after) == ROWS + added
    assert all(after[row["id"]] == row for row in rows_of(prepared)), "a row changed its split or its place"
    shards = [len(read_jsonl(path)) for path in prepared.glob(".resume/prepare_corpus/*/made.jsonl")]
    same = kept_files(yesterdays, prepared)
    assert f"{len(same)} of {ROWS + added} rows are there" in told
    assert len(shards) > 3 and len(same) >= ROWS - sum(sorted(shards)[-2:]) > 0


def test_a_changed_recording_is_read_again_and_another_name_of_a_speaker_reads_nothing(yesterdays, prepared):
    path = yesterdays / HOME / "0007.flac"
    samples, rate_hz = soundfile.read(path)
    soundfile.write(path, samples[: len(samples) * 3 // 4], rate_hz)
    manifest = yesterdays / MANIFEST
    manifest.write_text(manifest.read_text().replace("speaker 0", "Abebe"))
    prepare(yesterdays)
    before, after = ({row["id"]: audio_of(folder, row).read_bytes() for row in rows_of(folder)}
                     for folder in (prepared, yesterdays))
    assert {name for name in before if after[name] != before[name]} == {"home-0007"}
    assert {row["speaker"] for row in rows_of(yesterdays)} == {"home-Abebe", "home-speaker 1"}
    assert len(kept_files(yesterdays, prepared)) > ROWS / 2


def test_damage_in_the_corpus_does_not_come_back_from_what_was_kept(yesterdays, prepared):
    audio = audio_of(yesterdays, rows_of(yesterdays)[5])
    assert audio.stat().st_nlink == 2, "the corpus and the kept shard are to be one file"
    with open(audio, "r+b") as file:
        file.seek(-9, os.SEEK_END)
        file.write(b"x")
    assert content(yesterdays) != content(prepared)
    prepare(yesterdays)
    assert content(yesterdays) == content(prepared) and len(kept_files(yesterdays, prepared)) > ROWS / 2


def kept_files(folder: Path, before: Path) -> list[str]:
    """Audio whose time of change is the one it had: it was not made again."""
    return [row["id"] for row in rows_of(before)
            if audio_of(folder, row).stat().st_mtime_ns == audio_of(before, row).stat().st_mtime_ns]


def audio_of(folder: Path, row) -> Path:
    return folder / "data/corpus" / row["audio"]
