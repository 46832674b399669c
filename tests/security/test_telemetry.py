"""Nothing that the project starts reports its use to anyone."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MLFLOW = """
from stages.core.params.shared import TrackingConfig
from stages.core.tracking.mlflow_store import open_store

open_store(TrackingConfig(uri="sqlite:///mlflow.db", experiment="x"))
from mlflow.telemetry.client import get_telemetry_client
from mlflow.telemetry.utils import is_telemetry_disabled

print(is_telemetry_disabled(), get_telemetry_client())
"""
DVC = "from dvc.analytics import is_enabled; print(is_enabled())"


def say(code, folder):
    """What Python says in a folder, of a user who has set nothing."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True,
                          check=True).stdout.strip()


def test_mlflow_reports_nothing_where_the_user_has_set_nothing(tmp_path):
    (tmp_path / ".pipeline").mkdir()
    assert say(MLFLOW, tmp_path) == "True None"


@pytest.mark.parametrize("settings, enabled", [("analytics = false", "False"), ("analytics = true", "True")])
def test_dvc_reports_nothing_in_this_project(settings, enabled, tmp_path):
    """The second case shows that DVC would, were it not for the project's file."""
    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    shutil.copy(ROOT / ".dvc/config", tmp_path / ".dvc")
    config = tmp_path / ".dvc/config"
    config.write_text(config.read_text().replace("analytics = false", settings))
    assert say(DVC, tmp_path) == enabled


def test_what_make_starts_reports_nothing(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    mlflow = tmp_path / ".venv/bin/mlflow"
    mlflow.write_text("#!/bin/sh\necho telemetry disabled: $MLFLOW_DISABLE_TELEMETRY\n")
    mlflow.chmod(0o755)
    for target in ("ui", "serve"):
        said = subprocess.run(["make", "-o", ".venv/.complete", target], cwd=tmp_path, env={"PATH": "/usr/bin:/bin"},
                              capture_output=True, text=True, check=True).stdout
        assert "telemetry disabled: true" in said
