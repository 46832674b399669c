import subprocess
from pathlib import Path

from stages.core.tracking.provenance import data_hashes, git_commit

DVC_YAML = """
stages:
  finetune:
    foreach: ${phases}
    do:
      deps:
      - ${base.path}
      - data/checkpoints/${item.start_from}
      - stages/finetune
  evaluate_speech_base:
    deps:
    - data/checkpoints/base
"""
DVC_LOCK = """
schema: '2.0'
stages:
  train_vocabulary:
    cmd: x
    deps:
    - {path: data/base, md5: aaa}
    outs:
    - {path: data/checkpoints/base, md5: bbb}
"""
PARAMS = {"base": {"path": "data/base"}, "phases": {"lora": {"start_from": "base"}, "full": {"start_from": "lora"}}}


def test_data_hashes_come_from_the_lock_file_and_are_unknown_before(tmp_path: Path):
    (tmp_path / "dvc.yaml").write_text(DVC_YAML)
    (tmp_path / "dvc.lock").write_text(DVC_LOCK)
    assert data_hashes("finetune@lora", PARAMS, tmp_path) == {"data/base": "aaa", "data/checkpoints/base": "bbb"}
    assert data_hashes("finetune@full", PARAMS, tmp_path)["data/checkpoints/lora"] == "unknown"
    assert data_hashes("evaluate_speech@base", PARAMS, tmp_path) == {"data/checkpoints/base": "bbb"}


def test_a_folder_of_several_stages_goes_by_what_each_wrote_and_not_by_an_earlier_look_at_it(tmp_path: Path):
    (tmp_path / "dvc.yaml").write_text("stages: {report: {deps: [data/checkpoints, data/base]}}")
    earlier = "  report:\n    deps:\n    - {path: data/checkpoints, md5: old}\n    - {path: data/base, md5: old}\n"
    (tmp_path / "dvc.lock").write_text(DVC_LOCK + earlier)
    assert data_hashes("report", {}, tmp_path) == {"data/checkpoints/base": "bbb", "data/base": "aaa"}


def test_no_dvc_files_give_no_hashes(tmp_path: Path):
    assert data_hashes("finetune@lora", PARAMS, tmp_path) == {}


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
