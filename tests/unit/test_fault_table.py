"""The table of faults, by runs of pytest over a few tests of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults import table

ROOT = Path(__file__).parents[2]
CONFTEST = """
from pathlib import Path
from tests.conftest import *
from tests.faults import table
table.RESULTS, table.PAGE = Path("faults.json"), Path("page.md")
"""
CHECKS = """
import pytest

@pytest.mark.faults("{0}", "holds")
def test_{0}():
    {1}

@pytest.mark.faults("{0} again", "holds")
def test_{0}_again():
    pass
"""
ALL = ["disk", "disk again", "kill", "kill again"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "pytest.ini").write_text("[pytest]\ntestpaths = checks\nmarkers =\n  faults(done, holds): a row\n")
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "page.md").write_text(f"{table.BEGIN}\n{table.END}\n")
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks" / "test_disk.py").write_text(CHECKS.format("disk", "pass"))
    (tmp_path / "checks" / "test_kill.py").write_text(CHECKS.format("kill", "pass"))
    monkeypatch.setattr(table, "RESULTS", tmp_path / "faults.json")
    monkeypatch.setattr(table, "PAGE", tmp_path / "page.md")
    table.write_results([table.Row(scenario, "holds") for scenario in ALL])
    return tmp_path


def rows_after(folder, *arguments):
    """The rows of the table after a run of pytest."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests' / 'integration'}",
                   "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "faults", "--full", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert "INTERNALERROR" not in done.stdout + done.stderr, done.stdout + done.stderr
    return [row["scenario"] for row in json.loads((folder / "faults.json").read_text())["rows"]]


@pytest.mark.parametrize("arguments", [["checks/test_disk.py"], ["-k", "kill"], ["checks/test_disk.py::test_disk"]])
def test_a_part_of_the_tests_replaces_its_own_rows_only(folder, arguments):
    assert rows_after(folder, *arguments) == ALL


@pytest.mark.parametrize("ending, arguments", [("raise KeyboardInterrupt", []), ("raise ValueError", ["-x"])])
def test_a_run_that_was_cut_short_replaces_its_own_rows_only(folder, ending, arguments):
    (folder / "checks" / "test_kill.py").write_text(CHECKS.format("kill", ending))
    assert rows_after(folder, *arguments) == ALL


@pytest.mark.parametrize("arguments", [[], ["checks/test_disk.py"]])
def test_tests_that_cannot_be_read_leave_the_table_as_it_is(folder, arguments):
    (folder / "checks" / "test_disk.py").write_text("import no_such_module\n")
    assert rows_after(folder, *arguments) == ALL


def test_a_run_of_everything_drops_the_rows_of_tests_that_are_gone(folder):
    (folder / "checks" / "test_kill.py").unlink()
    assert rows_after(folder) == ALL[:2]
