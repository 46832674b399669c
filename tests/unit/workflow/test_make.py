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


def make(folder, *arguments, **environment):
    """Type a command as in a shell of its own, also where make itself runs these tests."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "MFLAGS"}
    return subprocess.run(["make", *arguments], cwd=folder, env=inherited | environment, capture_output=True, text=True)


def test_clean_leaves_the_locks_of_what_runs(folder):
    locks = [".pipeline/run.lock", ".pipeline/stages/finetune@lora.lock", ".snakemake/locks/0.input.lock"]
    others = [".pipeline/stamps/report", ".pipeline/logs/report.log", ".snakemake/metadata/a", ".ruff_cache/a"]
    for name in (*locks, *others):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    assert make(folder, "clean").returncode == 0
    left = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert left == {"Makefile", *locks}
    for name in locks:
        (folder / name).unlink()
    assert make(folder, "clean").returncode == 0
    assert [path.name for path in folder.iterdir()] == ["Makefile"]
    assert make(folder, "clean").returncode == 0


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
    told = make(folder, "-o", ".venv/.complete", "preset", *arguments, **environment)
    assert told.returncode == 0 and told.stdout.strip() == said


def test_an_environment_that_was_moved_is_told_and_one_that_is_linked_is_not(folder):
    made, elsewhere = folder / "made", folder / "else where"
    made.mkdir()
    (made / ".complete").write_text(f"9 seconds\nin {made}\n")
    (folder / ".venv").symlink_to(made)
    assert make(folder, "clean").returncode == 0
    made.rename(elsewhere)
    (folder / ".venv").unlink()
    (folder / ".venv").symlink_to(elsewhere)
    told = make(folder, "clean")
    assert told.returncode != 0 and f".venv was made as {made}, which its commands name: rm -rf" in told.stderr
    (elsewhere / ".complete").write_text(f"9 seconds\nin {elsewhere}\n")
    assert make(folder, "clean").returncode == 0


def test_the_graph_alone_goes_to_its_reader_and_what_went_wrong_to_the_user(folder):
    snakemake = folder / ".venv" / "bin" / "snakemake"
    snakemake.parent.mkdir(parents=True)
    snakemake.write_text("#!/bin/sh\necho digraph; echo params.yaml: wrong >&2; exit 1\n")
    snakemake.chmod(0o755)
    told = make(folder, "-o", ".venv/.complete", "graph")
    assert told.returncode != 0 and told.stdout == "digraph\n" and "params.yaml: wrong" in told.stderr
