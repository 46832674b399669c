"""data/recordings under real DVC and Snakemake: empty, untracked, versioned by `dvc add`, and growing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stages.core.artifacts.files import read_jsonl
from tests.corpora import write_lines
from tests.recorded_project import MANIFEST, make_recorded_project, manifest_lines, write_recordings
from tests.tiny_project import ROOT

COUNT_HASHED = """
import sys, dvc_data.hashfile.hash as hashing
from dvc.repo import Repo
real, seen = hashing._hash_file, []
def counted(path, *rest, **named):
    seen.append(str(path))
    return real(path, *rest, **named)
hashing._hash_file = counted
with Repo(".") as repo:
    repo.{command}
print("HASHED", *sorted(seen), sep="\\n")
"""


def put(project, name, count):
    folder = project.folder / "data/recordings" / name
    folder.mkdir()
    for number in range(count):
        (folder / f"{number}.wav").write_text(f"{name} {number}")


def hashed(folder, command, **environment):
    """Names of the audio files that DVC reads for a command."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run([sys.executable, "-c", COUNT_HASHED.format(command=command)], cwd=folder,
                         env=os.environ | {"PATH": path} | environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return [line.split("data/")[1] for line in ran.stdout.split("HASHED\n")[1].splitlines()
            if line.endswith((".wav", ".flac"))]


def test_recordings_may_be_absent_untracked_or_versioned(fresh_project):
    project = fresh_project
    assert project.dvc("repro prepare_corpus") == ["prepare_corpus"]
    readme = project.folder / "data/recordings/README.md"
    readme.write_text(readme.read_text() + "\nmore")
    assert project.dvc("repro prepare_corpus") == [], "the README is no recording"

    put(project, "one", 3)
    assert project.dvc("repro prepare_corpus") == ["prepare_corpus"]
    project.run("dvc add data/recordings/one")
    assert project.dvc("repro prepare_corpus") == ["prepare_corpus"]
    assert project.dvc("repro prepare_corpus") == []

    put(project, "two", 3)
    project.run("dvc add data/recordings/two")
    assert "data/recordings/two.dvc" in project.run("git status --short --untracked-files=all")
    assert ".wav" not in project.run("git status --short --untracked-files=all")
    assert project.snakemake("--cores 2 prepare_corpus") == ["prepare_corpus"]
    assert project.snakemake("--cores 2 prepare_corpus") == [] and project.dvc("repro prepare_corpus") == []


def test_versioned_recordings_go_to_a_remote_and_come_back(fresh_project, tmp_path):
    project, audio = fresh_project, fresh_project.folder / "data/recordings/one"
    put(project, "one", 3)
    project.run("dvc add data/recordings/one")
    project.run(f"dvc remote add -d elsewhere {tmp_path / 'remote'}")
    project.run("dvc push data/recordings/one.dvc")
    shutil.rmtree(audio)
    shutil.rmtree(project.folder / ".dvc/cache")
    assert "data/recordings/one.dvc" in project.run("dvc status -R data/recordings")
    project.run("dvc pull -R data/recordings")
    assert len(list(audio.iterdir())) == 3


def test_a_new_folder_leaves_the_others_unread(fresh_project):
    project = fresh_project
    put(project, "one", 30)
    project.run("dvc add data/recordings/one")
    project.dvc("repro prepare_corpus")
    put(project, "two", 4)
    new = {f"recordings/two/{number}.wav" for number in range(4)}
    assert set(hashed(project.folder, "add('data/recordings/two')")) == new
    assert hashed(project.folder, "status()") == []


@pytest.mark.slow
def test_more_rows_have_only_their_own_audio_hashed(tmp_path):
    """The real stage under DVC: what finished shards hold keeps its inode, which DVC then knows."""
    make_recorded_project(tmp_path, 300)
    make_repository(tmp_path)
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "2"}
    first = hashed(tmp_path, "reproduce(['prepare_corpus'])", **environment)
    assert sum(name.startswith("corpus/") for name in first) == 300
    write_recordings(tmp_path, 300, 330)
    write_lines(tmp_path / MANIFEST, manifest_lines(0, 330))
    again = hashed(tmp_path, "reproduce(['prepare_corpus'])", **environment)
    assert {f"recordings/home/{number:04d}.flac" for number in range(300, 330)} == {
        name for name in again if name.startswith("recordings/")}
    corpus = [name for name in again if name.startswith("corpus/")]
    remade = [len(read_jsonl(path)) for path in tmp_path.glob(".resume/prepare_corpus/*/made.jsonl")
              if path.stat().st_mtime_ns > (tmp_path / MANIFEST).stat().st_mtime_ns]
    assert 30 <= len(corpus) == sum(remade) < 200
    shared = [path for path in (tmp_path / "data/corpus/audio").rglob("*.flac") if path.stat().st_nlink == 3]
    assert len(shared) >= 330 - sum(remade), "corpus, finished shard and DVC's cache share one file"


def make_repository(folder):
    """Real DVC settings, and prepare_corpus alone of dvc.yaml, without its code."""
    stage = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["prepare_corpus"]
    stage["deps"] = ["data/recordings"]
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"prepare_corpus": stage}}))
    for name in (".dvcignore", ".gitignore", ".dvc/config", ".dvc/.gitignore"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
