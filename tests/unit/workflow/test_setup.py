import os
import subprocess
import sys
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
