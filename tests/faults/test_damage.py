"""Caches, outputs, locks and times that are not what they were: healed or named, never taken for a result."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from engine_project import EngineProject, set_polish_epochs

from tests.faults.outputs import outputs

WEIGHTS = "data/checkpoints/polish/model.safetensors"
HOUR_NANOSECONDS = 3600 * 10**9
FUTURE, PAST = 4_000_000_000, 1_100_000_000  # seconds since the epoch


@pytest.fixture
def linked(finished_project, tmp_path):
    """A copy of the finished schedule whose outputs are hard links into its cache, as a run leaves them."""
    subprocess.run(["cp", "-a", finished_project.folder, tmp_path / "linked"], check=True)
    project = EngineProject(tmp_path / "linked")
    assert cached(project, WEIGHTS).samefile(project.folder / WEIGHTS)
    assert project.is_clean()
    return project


def cached(project: EngineProject, output: str) -> Path:
    """The file of the cache that an output is."""
    name = hashlib.md5((project.folder / output).read_bytes()).hexdigest()
    return project.folder / ".dvc/cache/files/md5" / name[:2] / name[2:]


def flip_byte(path: Path, keep_times: bool = False) -> None:
    """Damage a file in place; with `keep_times` as a disk does, behind the file system's back."""
    times = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    with open(path, "r+b") as file:
        file.write(content)
    if keep_times:
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.faults("a byte flipped in a file of the cache, which outputs are links to", "named, and made again")
def test_damage_in_the_cache_is_named_and_healed(linked, seen):
    before, path = outputs(linked.folder), cached(linked, WEIGHTS)
    flip_byte(path)
    assert outputs(linked.folder) != before
    told = linked.run("snakemake --cores 2 all")
    assert f"{path.relative_to(linked.folder)}: damaged; taken out of the cache" in told
    assert outputs(linked.folder) == before and linked.is_clean()
    seen("the start of snakemake names the file; the stage runs again, same bytes")


@pytest.mark.full
@pytest.mark.faults("a byte flipped in the cached copy of a result of other params, which are then set again",
                    "not checked out: named, and made again")
def test_damaged_result_of_other_params_is_not_restored(linked):
    before, path = outputs(linked.folder), cached(linked, WEIGHTS)
    linked.edit_params(set_polish_epochs(6))
    linked.snakemake("--cores 2 all")
    flip_byte(path)
    linked.edit_params(set_polish_epochs(3))
    assert "finetune@polish" in linked.snakemake("--cores 2 all")
    assert outputs(linked.folder) == before


@pytest.mark.faults("a byte flipped in the cache with the file's times as they were, as by a failing disk",
                    "`make verify` names it, the next run makes it again")
def test_damage_without_a_trace_is_found_by_reading(linked, seen):
    before, path = outputs(linked.folder), cached(linked, WEIGHTS)
    flip_byte(path, keep_times=True)
    told = linked.run("python -m workflow.cache", status=1)
    assert f"{path.relative_to(linked.folder)}: damaged" in told and "1 damaged" in told
    assert linked.dvc() == ["finetune@polish"]
    assert outputs(linked.folder) == before
    assert "the cache is whole" in linked.run("python -m workflow.cache")
    seen("`make verify` names it; neither engine finds it otherwise")


@pytest.mark.full
@pytest.mark.faults("a byte flipped in the cache after the clock was set back by an hour", "named, and made again")
def test_damage_since_a_clock_was_set_back_is_found(linked):
    before, path = outputs(linked.folder), cached(linked, WEIGHTS)
    looked = linked.folder / ".pipeline/cache.looked"
    looked.write_text(str(int(looked.read_text()) + HOUR_NANOSECONDS))
    flip_byte(path)
    assert "damaged; taken out of the cache" in linked.run("snakemake --cores 2 all")
    assert outputs(linked.folder) == before and linked.is_clean()


@pytest.mark.full
@pytest.mark.faults("an output deleted", "restored, nothing runs")
def test_deleted_output_is_restored(linked):
    before = outputs(linked.folder)
    shutil.rmtree(linked.folder / "data/checkpoints/polish")
    assert linked.snakemake("--cores 2 all") == []
    assert outputs(linked.folder) == before


@pytest.mark.full
@pytest.mark.faults("an output edited by hand, in place and as a new file",
                    "told by dvc status; not committed, taken back")
@pytest.mark.parametrize("in_place", [True, False])
def test_edited_output_is_told_and_taken_back(linked, in_place, seen):
    before, path = outputs(linked.folder), linked.folder / WEIGHTS
    if not in_place:
        path.unlink()
    path.write_text("edited\n")
    said = linked.run("dvc status dvc.yaml")
    assert "modified:           data/checkpoints/polish" in said
    linked.snakemake("--cores 2 all")
    assert outputs(linked.folder) == before and linked.is_clean()
    seen("dvc status: modified; the next run puts the result back")


@pytest.mark.full
@pytest.mark.faults("half of an output", "told, and made whole again")
def test_half_an_output_is_made_whole(linked):
    before, folder = outputs(linked.folder), linked.folder / "data/evaluation/lora"
    (folder / "metrics.json").unlink()
    shutil.rmtree(folder / "samples")
    assert "deleted" in linked.run("dvc status dvc.yaml")
    linked.snakemake("--cores 2 all")
    assert outputs(linked.folder) == before and linked.is_clean()


@pytest.mark.faults("conflict markers in dvc.lock, after a merge", "both engines name the file and run nothing")
def test_conflict_in_the_lock_file_is_named(linked, seen):
    lock = linked.folder / "dvc.lock"
    whole = lock.read_text()
    lock.write_text(f"<<<<<<< HEAD\n{whole}=======\n>>>>>>> theirs\n")
    before = linked.executions()
    said = linked.run("snakemake --cores 2 all", status=1)
    assert "dvc.lock: holds conflict markers of a merge; take either side" in said and "Traceback" not in said, said
    assert "dvc.lock" in linked.run("dvc repro", status=255)
    assert linked.executions() == before
    (linked.folder / "dvc.lock").write_text(whole)
    assert linked.snakemake("--cores 2 all") == []
    seen("'dvc.lock: holds conflict markers of a merge; take either side whole'; then nothing runs")


@pytest.mark.full
@pytest.mark.faults("all files' times set by a clone or rsync, or ahead of a clock that was set back", "nothing runs")
@pytest.mark.parametrize("moment", [PAST, FUTURE])
def test_times_of_files_make_nothing_stale(linked, moment):
    for path in linked.folder.rglob("*"):
        if ".git" not in path.parts and not path.is_symlink():
            os.utime(path, (moment, moment))
    assert linked.snakemake("--cores 2 all") == [] and linked.is_clean()
    linked.edit_params(set_polish_epochs(6))
    os.utime(linked.folder / "params.yaml", (PAST, PAST))
    assert "finetune@polish" in linked.plan()
