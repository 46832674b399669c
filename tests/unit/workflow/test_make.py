import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def folder(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    return tmp_path


def test_clean_leaves_the_locks_of_what_runs(folder):
    locks = [".pipeline/run.lock", ".pipeline/stages/finetune@lora.lock", ".snakemake/locks/0.input.lock"]
    others = [".pipeline/stamps/report", ".pipeline/logs/report.log", ".snakemake/metadata/a", ".ruff_cache/a"]
    for name in (*locks, *others):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    subprocess.run(["make", "clean"], cwd=folder, check=True)
    left = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert left == {"Makefile", *locks}
    for name in locks:
        (folder / name).unlink()
    subprocess.run(["make", "clean"], cwd=folder, check=True)
    assert [path.name for path in folder.iterdir()] == ["Makefile"]
    subprocess.run(["make", "clean"], cwd=folder, check=True)


@pytest.mark.parametrize("arguments, environment, said", [
    ([], {}, "-m workflow.preset"),
    ([], {"NAME": "a-login-name"}, "-m workflow.preset"),
    (["NAME=miniature"], {"NAME": "a-login-name"}, "-m workflow.preset miniature"),
])
def test_a_preset_is_taken_only_where_the_command_names_it(folder, arguments, environment, said):
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$@"\n')
    python.chmod(0o755)
    told = subprocess.run(["make", "-o", ".venv/.complete", "preset", *arguments], cwd=folder, text=True,
                          env=os.environ | environment, capture_output=True, check=True)
    assert told.stdout.strip() == said


def test_an_environment_that_was_moved_is_told_and_one_that_is_linked_is_not(folder):
    made, elsewhere = folder / "made", folder / "else where"
    made.mkdir()
    (made / ".complete").write_text(f"9 seconds\nin {made}\n")
    command = ["make", "clean"]
    (folder / ".venv").symlink_to(made)
    subprocess.run(command, cwd=folder, check=True)
    made.rename(elsewhere)
    (folder / ".venv").unlink()
    (folder / ".venv").symlink_to(elsewhere)
    told = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert told.returncode != 0 and f".venv was made as {made}, which its commands name: rm -rf" in told.stderr
    (elsewhere / ".complete").write_text(f"9 seconds\nin {elsewhere}\n")
    subprocess.run(command, cwd=folder, check=True)


def test_the_graph_alone_goes_to_its_reader_and_what_went_wrong_to_the_user(folder):
    snakemake = folder / ".venv" / "bin" / "snakemake"
    snakemake.parent.mkdir(parents=True)
    snakemake.write_text("#!/bin/sh\necho digraph; echo params.yaml: wrong >&2; exit 1\n")
    snakemake.chmod(0o755)
    told = subprocess.run(["make", "-o", ".venv/.complete", "graph"], cwd=folder, capture_output=True, text=True)
    assert told.returncode != 0 and told.stdout == "digraph\n" and "params.yaml: wrong" in told.stderr
