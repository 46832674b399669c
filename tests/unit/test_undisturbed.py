import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
STAGE = """
import os
from pathlib import Path
from stages.core.artifacts.files import output_folder
from stages.undisturbed import undisturbed
with undisturbed():
    Path("seen.json").write_text(os.environ["STAGE_INPUTS"])
    with output_folder(Path("folder")):
        Path("source").write_text(Path("next").read_text())
"""
PIPELINE = {"stages": {
    "one": {"cmd": "mkdir -p made; cp source made/one", "deps": ["source"], "outs": ["made/one"]},
    "two": {"cmd": "mkdir -p made; echo 2 > made/two", "outs": ["made/two"]},
    "three": {"cmd": f"{sys.executable} stage.py", "deps": ["made", "source", "stages/code.py"], "params": ["rate"],
              "outs": ["seen.json", "folder"]},
}}


@pytest.fixture
def project(tmp_path):
    """A pipeline whose last stage tells what it was told, then gives its source the content of `next`."""
    for name, content in {"source": "a", "next": "a", "stages/code.py": "", "stage.py": STAGE,
                          "params.yaml": "rate: 1", "dvc.yaml": yaml.safe_dump(PIPELINE)}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    run(tmp_path, "dvc init -q --no-scm")
    return tmp_path


def run(folder, command, status=0):
    """Run a command in a folder, check its status, give what it said."""
    words = command.split()
    done = subprocess.run([sys.executable, "-m", *words], cwd=folder, env={"PYTHONPATH": str(ROOT), "PATH": "/bin"},
                          capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    return done.stderr


def md5(text):
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def told(folder):
    return json.loads((folder / "seen.json").read_text())


def test_a_stage_is_told_the_hashes_of_its_data_and_of_a_shared_folder_by_its_parts(project):
    run(project, "dvc repro -q")
    assert told(project) == {"made/one": md5("a"), "made/two": md5("2\n"), "source": md5("a")}


def test_the_hashes_are_todays_and_not_those_of_the_last_execution(project):
    run(project, "dvc repro -q")
    for name in ("source", "next"):
        (project / name).write_text("b")
    run(project, "dvc repro -q")
    assert told(project) == {"made/one": md5("b"), "made/two": md5("2\n"), "source": md5("b")}


def test_from_a_folder_below_the_stages_are_the_same(project):
    (project / "below").mkdir()
    run(project / "below", "dvc repro -q ../dvc.yaml:three")
    assert told(project)["source"] == md5("a")


def test_an_input_that_changes_meanwhile_is_named_and_nothing_recorded(project):
    (project / "next").write_text("changed")
    said = run(project, "dvc repro -q", status=255)
    assert "source: changed while three ran" in said
    assert "three" not in yaml.safe_load((project / "dvc.lock").read_text())["stages"]
    assert not (project / "folder").exists(), "a result that does not count takes no place"


def test_a_stage_does_not_start_above_a_stale_one(project):
    run(project, "dvc repro -q")
    (project / "source").write_text("b")
    (project / "next").write_text("b")
    assert "one: stale by now, so three would mix old and new; run again" in run(
        project, "dvc repro -q -s -f three", status=255)
    run(project, "dvc repro -q")
    assert told(project)["made/one"] == md5("b")


def test_a_stage_of_the_same_name_in_a_pipeline_of_the_user_is_no_stage_of_the_project(project):
    (project / "notes").mkdir()
    other = {"stages": {"three": {"cmd": "echo > three", "outs": ["three"]}}}
    (project / "notes/dvc.yaml").write_text(yaml.safe_dump(other))
    run(project, "dvc repro -q")
    assert "source" in told(project)
