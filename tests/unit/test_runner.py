import sys
import types

import pytest
from safetensors import SafetensorError

import stages.__main__ as runner
from stages.core.errors import ParamsError, UserError
from stages.schema import STAGES


@pytest.fixture
def report_stage(monkeypatch):
    """Put a recording main in the place of the report stage and let every params file pass."""
    calls = []
    module = types.ModuleType("stages.report.__main__")
    module.main = lambda options: calls.append(options) or 0
    monkeypatch.setitem(sys.modules, "stages.report", types.ModuleType("stages.report"))
    monkeypatch.setitem(sys.modules, "stages.report.__main__", module)
    monkeypatch.setattr(runner, "check_params", dict)
    return module, calls


def test_options_reach_the_stage(report_stage):
    _, calls = report_stage
    assert runner.main(["report", "--phase", "lora"]) == 0
    assert calls == [["--phase", "lora"]]


def test_user_error_is_one_line_and_status_2(report_stage, capsys):
    module, _ = report_stage

    def fail(options):
        raise UserError("data/text/amh.txt: no such file")

    module.main = fail
    assert runner.main(["report"]) == 2
    assert capsys.readouterr().err == "error: data/text/amh.txt: no such file\n"


def test_wrong_params_stop_the_run_before_the_stage(report_stage, monkeypatch, capsys):
    def refuse():
        raise ParamsError("params.yaml", ["a.b: unknown key"])

    monkeypatch.setattr(runner, "check_params", refuse)
    assert runner.main(["report"]) == 2
    assert report_stage[1] == []
    assert "a.b: unknown key" in capsys.readouterr().err


def test_missing_params_file_is_told_in_one_line(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    assert runner.main(["check"]) == 2
    assert capsys.readouterr().err.startswith("error: params.yaml: no such file")


def test_help_lists_every_stage(capsys):
    with pytest.raises(SystemExit) as stopped:
        runner.main(["--help"])
    assert stopped.value.code == 0
    said = capsys.readouterr().out
    assert all(stage in said for stage in STAGES)


def test_unknown_stage_is_refused(capsys):
    with pytest.raises(SystemExit) as stopped:
        runner.main(["finetun"])
    assert stopped.value.code == 2
    assert "finetun" in capsys.readouterr().err


def test_the_address_that_dvc_gives_a_stage_becomes_its_key(report_stage, monkeypatch):
    _, calls = report_stage
    monkeypatch.setenv("DVC_STAGE", "compare/dvc.yaml:report@lora-rate-0.3")
    assert runner.main(["report", "--phase", "compare/dvc.yaml:report@lora-rate-0.3", "--out", "a@b"]) == 0
    assert calls == [["--phase", "lora-rate-0.3", "--out", "a@b"]]


def test_a_write_that_the_disk_refused_to_a_library_is_one_line(report_stage, tmp_path, capsys):
    module, _ = report_stage

    def fail(options):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    module.main = fail
    assert runner.main(["report"]) == 2
    assert capsys.readouterr().err == "error: a file: cannot write: No space left on device\n"
