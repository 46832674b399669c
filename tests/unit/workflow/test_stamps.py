import json
import os
import subprocess
import threading

import pytest

from workflow import cores, stamps


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".dvc" / "tmp").mkdir(parents=True)
    (tmp_path / ".snakemake" / "locks").mkdir(parents=True)
    return tmp_path


def test_only_a_lost_cache_counts_as_such():
    lost = {"changed outs": {"data/a": "not in cache"}}
    assert stamps.lost_only_its_cache([lost])
    assert not stamps.lost_only_its_cache([])
    assert not stamps.lost_only_its_cache([lost, "changed command"])
    assert not stamps.lost_only_its_cache([lost, {"changed deps": {"data/b": "modified"}}])
    assert not stamps.lost_only_its_cache([{"changed outs": {"data/a": "not in cache", "data/b": "modified"}}])


def test_run_lock_clears_locks_of_a_killed_run(folder):
    stale = folder / ".snakemake" / "locks" / "0.input.lock"
    stale.write_text("")
    assert stamps.hold_run_lock()
    assert not stale.exists()


def test_run_lock_held_by_a_living_run_is_left_to_it(folder, capsys):
    held = stamps.hold_run_lock()
    (folder / ".snakemake" / "locks" / "0.input.lock").write_text("")
    assert stamps.hold_run_lock() is None
    assert "another snakemake is running here" in capsys.readouterr().err
    held.close()


@pytest.mark.parametrize("content", ["", '{"write": {'])
def test_stage_lock_cut_short_by_a_kill_is_dropped(content):
    stamps.DVC_STAGE_LOCKS.write_text(content)
    stamps.repair_stage_locks()
    assert not stamps.DVC_STAGE_LOCKS.exists()


def test_stage_lock_of_a_dead_process_is_left_to_dvc():
    ended = subprocess.Popen(["true"])
    ended.wait()
    content = {"write": {"data/a": {"pid": ended.pid, "cmd": "dvc"}}, "read": {}}
    stamps.DVC_STAGE_LOCKS.write_text(json.dumps(content))
    stamps.repair_stage_locks()
    assert stamps.DVC_STAGE_LOCKS.exists()


@pytest.mark.faults("the machine restarted in mid-run: the number in DVC's lock is another process's by now",
                    "the lock is dropped, no human is asked")
def test_stage_lock_with_the_number_of_another_process_is_dropped():
    """After a restart of the machine, or of a container, numbers are given anew."""
    content = {"write": {"data/a": {"pid": os.getpid(), "cmd": "/somewhere/dvc repro"}}, "read": {}}
    stamps.DVC_STAGE_LOCKS.write_text(json.dumps(content))
    stamps.repair_stage_locks()
    assert not stamps.DVC_STAGE_LOCKS.exists()


def test_living_stage_is_waited_for(capsys):
    alive = subprocess.Popen(["sleep", "0.5"])
    content = {"write": {}, "read": {"data/a": [{"pid": alive.pid, "cmd": "sleep 0.5"}]}}
    stamps.DVC_STAGE_LOCKS.write_text(json.dumps(content))
    threading.Thread(target=alive.wait).start()
    stamps.repair_stage_locks(poll_seconds=0.05)
    assert alive.poll() is not None
    assert str(alive.pid) in capsys.readouterr().err


def test_paths_overlap_when_one_lies_in_the_other():
    assert stamps.overlaps("/a/b", "/a/b/c") and stamps.overlaps("/a/b/c", "/a/b") and stamps.overlaps("/a", "/a")
    assert not stamps.overlaps("/a/b", "/a/bc")


def test_cores_never_exceed_what_the_process_may_use(monkeypatch, tmp_path):
    assert 1 <= cores.usable_cores() <= len(os.sched_getaffinity(0))
    quota = tmp_path / "cpu.max"
    quota.write_text("150000 100000\n")
    monkeypatch.setattr(cores, "CGROUP_QUOTA", quota)
    assert cores.usable_cores() == 1


@pytest.mark.parametrize("arguments, pipelines", [
    (["--cores", "8", "all"], ["dvc.yaml"]), (["-n"], ["dvc.yaml"]),
    (["--cores", "8", "compare"], ["dvc.yaml", "compare/dvc.yaml"]),
    (["-n", ".pipeline/stamps/compare_strategies@full-small-1"], ["dvc.yaml", "compare/dvc.yaml"]),
])
def test_the_comparison_is_looked_at_only_where_something_of_it_is_asked_for(arguments, pipelines):
    assert list(stamps.asked_pipelines(arguments)) == pipelines
