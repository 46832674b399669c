import subprocess
from pathlib import Path

from stages.core.tracking.provenance import git_commit


def test_commit_tells_changes(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert git_commit() == "unknown"
    Path("file").write_text("one")
    for command in ("init -q", "add file", "-c user.name=n -c user.email=e commit -qm first"):
        subprocess.run(["git", *command.split()], check=True)
    clean = git_commit()
    assert len(clean) == 40
    Path("file").write_text("two")
    assert git_commit() == f"{clean}+changes"


def test_what_every_run_writes_is_no_change(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("dvc.lock").write_text("one")
    for command in ("init -q", "add dvc.lock", "-c user.name=n -c user.email=e commit -qm first"):
        subprocess.run(["git", *command.split()], check=True)
    Path("dvc.lock").write_text("two")
    assert len(git_commit()) == 40
