import errno
import json
import os
import subprocess
import threading

import pytest
from dvc.lock import make_lock

from stages.core.errors import UserError
from workflow import locks


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".dvc" / "tmp").mkdir(parents=True)
    (tmp_path / ".snakemake" / "locks").mkdir(parents=True)
    return tmp_path


def test_run_lock_clears_locks_of_a_killed_run(folder):
    stale = folder / ".snakemake" / "locks" / "0.input.lock"
    stale.write_text("")
    assert locks.hold_run_lock()
    assert not stale.exists()


def test_run_lock_held_by_a_living_run_is_left_to_it(folder, capsys):
    held = locks.hold_run_lock()
    (folder / ".snakemake" / "locks" / "0.input.lock").write_text("")
    assert locks.hold_run_lock() is None
    assert "another snakemake is running here" in capsys.readouterr().err
    held.close()


def test_a_plan_does_not_wait_for_a_run_that_has_just_begun(capsys):
    held = locks.hold_run_lock()
    assert locks.hold_run_lock(waits=False) is None
    assert "another snakemake is running here" in capsys.readouterr().err
    held.close()


def test_a_project_that_cannot_be_written_is_one_line(folder):
    (folder / ".pipeline").write_text("")
    with pytest.raises(UserError, match="run.lock: File exists; a run writes into the project's folder"):
        locks.hold_run_lock()


@pytest.mark.parametrize("reason", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_told_and_not_waited_for(reason, monkeypatch):
    def refuse(file, operation):
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    monkeypatch.setattr(locks.time, "sleep", lambda seconds: pytest.fail("waits"))
    with pytest.raises(UserError, match=f"run.lock: cannot be locked: {os.strerror(reason)}"):
        locks.hold_run_lock()


def test_a_run_that_has_just_begun_is_waited_for_with_one_word(monkeypatch, capsys):
    held = locks.hold_run_lock()
    turns = iter([lambda: None, held.close])
    monkeypatch.setattr(locks.time, "sleep", lambda seconds: next(turns)())
    assert locks.hold_run_lock()
    assert capsys.readouterr().err == "waiting for another snakemake, which holds .pipeline/run.lock\n"


@pytest.mark.parametrize("content", ["", '{"write": {'])
def test_stage_lock_cut_short_by_a_kill_is_dropped(content):
    locks.DVC_STAGE_LOCKS.write_text(content)
    locks.repair_stage_locks()
    assert not locks.DVC_STAGE_LOCKS.exists()


def test_a_stage_lock_that_dvc_is_writing_is_read_when_it_is_whole():
    alive = subprocess.Popen(["sleep", "1"])
    content = {"write": {}, "read": {"data/a": [{"pid": alive.pid, "cmd": "sleep 1"}]}}
    locks.DVC_STAGE_LOCKS.write_text("")
    guard = make_lock(f"{locks.DVC_STAGE_LOCKS}.lock")
    guard.lock()

    def end_the_write():
        locks.DVC_STAGE_LOCKS.write_text(json.dumps(content))
        guard.unlock()
        alive.wait()

    threading.Timer(0.3, end_the_write).start()
    locks.repair_stage_locks(poll_seconds=0.05)
    assert alive.poll() is not None and locks.DVC_STAGE_LOCKS.exists()


def test_stage_lock_of_a_dead_process_is_left_to_dvc():
    ended = subprocess.Popen(["true"])
    ended.wait()
    content = {"write": {"data/a": {"pid": ended.pid, "cmd": "dvc"}}, "read": {}}
    locks.DVC_STAGE_LOCKS.write_text(json.dumps(content))
    locks.repair_stage_locks()
    assert locks.DVC_STAGE_LOCKS.exists()


@pytest.mark.faults("the machine restarted in mid-run: the number in DVC's lock is another process's by now",
                    "the next run of snakemake drops the lock")
def test_stage_lock_with_the_number_of_another_process_is_dropped():
    """After a restart of the machine, or of a container, numbers are given anew."""
    content = {"write": {"data/a": {"pid": os.getpid(), "cmd": "/somewhere/dvc repro"}}, "read": {}}
    locks.DVC_STAGE_LOCKS.write_text(json.dumps(content))
    locks.repair_stage_locks()
    assert not locks.DVC_STAGE_LOCKS.exists()


def test_living_stage_is_waited_for(capsys):
    alive = subprocess.Popen(["sleep", "0.5"])
    content = {"write": {}, "read": {"data/a": [{"pid": alive.pid, "cmd": "sleep 0.5"}]}}
    locks.DVC_STAGE_LOCKS.write_text(json.dumps(content))
    threading.Thread(target=alive.wait).start()
    locks.repair_stage_locks(poll_seconds=0.05)
    assert alive.poll() is not None
    assert str(alive.pid) in capsys.readouterr().err
