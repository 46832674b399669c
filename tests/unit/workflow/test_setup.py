import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from workflow import setup

ROOT = Path(__file__).resolve().parents[3]


def test_old_python_is_refused_with_what_to_do(monkeypatch):
    monkeypatch.setattr(setup, "OLDEST_PYTHON", (99, 0))
    with pytest.raises(SystemExit, match=r"needs Python 99.0 or newer, but .*make setup PYTHON="):
        setup.check_python()


def test_make_without_python_says_what_is_missing(tmp_path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "workflow").mkdir()
    (tmp_path / "workflow" / "setup.py").write_text("")
    done = subprocess.run(["make", "setup", "PYTHON=python9"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0
    assert "no python9 here; install Python 3.11 or newer" in done.stdout + done.stderr


def test_every_pin_of_torch_is_found_and_names_no_local_build(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert setup.pinned("torch") == "torch==2.13.0"
    assert setup.pinned("torchaudio").startswith("torchaudio==")


def run_setup(monkeypatch, *arguments):
    """Run the script in the project's root with pip replaced; give what pip was asked, call by call."""
    asked = []
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["setup.py", *map(str, arguments)])
    monkeypatch.setattr(setup.subprocess, "call", lambda command: asked.append(command) or 0)
    assert setup.main() == 0
    return [command for command in asked if "pip" in command]


@pytest.fixture
def python(tmp_path):
    """The interpreter of an environment that was made."""
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text("")
    return python


def test_extras_are_added_to_a_made_environment_under_the_constraints(monkeypatch, tmp_path, python):
    [command] = run_setup(monkeypatch, "--extra", "s3", "--extra", "cluster", tmp_path)
    assert command[0] == str(python) and command[command.index("-c") + 1] == "constraints.txt"
    assert command[-2:] == ["dvc-s3", "snakemake-executor-plugin-slurm"]


def test_an_extra_that_is_not_there_is_told_with_those_that_are(monkeypatch, tmp_path, python):
    with pytest.raises(SystemExit, match=r"no extra named s4; there are dev, interop, s3,"):
        run_setup(monkeypatch, "--extra", "s4", tmp_path)


def test_upstream_is_added_to_a_made_environment_without_what_it_requires(monkeypatch, tmp_path, python):
    extra, package = run_setup(monkeypatch, "--interop", tmp_path)
    assert extra[0] == package[0] == str(python)
    assert extra[-2:] == ["einops", "packaging"] and "--no-deps" not in extra
    assert package[-2:] == ["--no-deps", "indextts2-inference==2.1.1"]
    assert all(command[command.index("-c") + 1] == "constraints.txt" for command in (extra, package))
    assert not (tmp_path / ".complete").exists()


def test_upstream_needs_an_environment_first(monkeypatch, tmp_path):
    with pytest.raises(SystemExit, match=r"no environment in .* to add to; first: make setup"):
        run_setup(monkeypatch, "--interop", tmp_path)


def test_a_set_up_stopped_before_pip_was_there_begins_again(monkeypatch, tmp_path):
    venv.create(tmp_path / "environment", with_pip=False, symlinks=True)
    (tmp_path / "environment" / "left-over").write_text("")
    monkeypatch.setattr(setup, "install", lambda *arguments: None)
    monkeypatch.setattr(setup, "repair_torchaudio", lambda python: None)
    monkeypatch.chdir(ROOT)
    setup.make_environment(str(tmp_path / "environment"))
    assert setup.imports(str(tmp_path / "environment" / "bin" / "python"), "pip")
    assert not (tmp_path / "environment" / "left-over").exists()
    marker = (tmp_path / "environment" / ".complete").read_text()
    assert marker.splitlines()[1] == f"in {tmp_path / 'environment'}"
    (tmp_path / "environment" / "kept").write_text("")
    setup.make_environment(str(tmp_path / "environment"))
    assert (tmp_path / "environment" / "kept").exists()


def test_an_environment_of_another_tool_is_left_alone(tmp_path, capsys):
    folder = tmp_path / "environment"
    venv.create(folder, with_pip=False, symlinks=True)
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "numpy-2.0.dist-info").mkdir()
    with pytest.raises(SystemExit, match="holds packages but no pip, so another tool made it"):
        setup.make_environment(str(folder))
    assert (packages / "numpy-2.0.dist-info").exists()


def test_a_plain_set_up_installs_no_extras(monkeypatch):
    monkeypatch.chdir(ROOT)
    asked = set(setup.project_table()["dependencies"])
    assert not {"einops", "dvc-s3", "moto[server]", "pytest", "mypy", setup.UPSTREAM} & asked


@pytest.fixture
def libraries(monkeypatch, tmp_path):
    """Three torchaudio libraries, and whether it imports while they are there and after."""
    paths = [tmp_path / name for name in ("_torchaudio.so", "libtorchaudio.so", "prefixctc.so")]
    for path in paths:
        path.write_text("library")
    monkeypatch.setattr(setup, "torchaudio_libraries", lambda python: list(map(str, paths)))
    return paths


def test_torchaudio_that_imports_is_left_alone(libraries, monkeypatch, capsys):
    monkeypatch.setattr(setup, "imports", lambda python, module: True)
    setup.repair_torchaudio(sys.executable)
    assert all(path.exists() for path in libraries)
    assert "nothing to repair" in capsys.readouterr().out


def test_torchaudio_beside_a_torch_without_cuda_is_repaired(libraries, monkeypatch, capsys):
    monkeypatch.setattr(setup, "imports", lambda python, module: not any(map(os.path.exists, libraries)))
    setup.repair_torchaudio(sys.executable)
    assert not any(path.exists() for path in libraries)
    assert "set _torchaudio.so, libtorchaudio.so, prefixctc.so aside" in capsys.readouterr().out


def test_torchaudio_that_is_broken_otherwise_is_put_back_and_told(libraries, monkeypatch):
    monkeypatch.setattr(setup, "imports", lambda python, module: False)
    with pytest.raises(SystemExit, match="does not import, with or without"):
        setup.repair_torchaudio(sys.executable)
    assert all(path.exists() for path in libraries)


def test_torchaudio_imports_here_and_analyses():
    code = "import torch, torchaudio; print(torchaudio.functional.resample(torch.zeros(1, 200), 100, 50).shape[1])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "100"
