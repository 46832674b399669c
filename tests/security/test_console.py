"""Words of foreign files in what a command says: they neither command the terminal nor pass for lines of its own."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml

from stages.__main__ import main
from stages.core.errors import CONTROLS, ParamsError, UserError, one_line, printable
from stages.core.model.checkpoint import check_keys
from stages.core.params.command import run_command
from stages.core.training import resume
from stages.core.training.loop import Loop
from stages.extract_features import doctor
from stages.prepare_corpus.sources.common import refuse
from stages.schema import params_problems
from workflow import preset

ROOT = Path(__file__).parents[2]
FORGED = "\x1b]0;pwned\x07\r\nerror: fine\u202e\x9b2J\ud800"

def is_harmless(said):
    return not CONTROLS.search(said) and "error: fine" not in said.splitlines()


def test_signs_that_a_terminal_obeys_are_written_out_and_others_stay():
    assert printable("ሰላም\t“é”\n\u200d") == "ሰላም\t“é”\n\u200d"
    assert printable("\x1b[31m\r\x7f\x9b\u202e\u2066\ud800") == r"\x1b[31m\r\x7f\x9b\u202e\u2066\ud800"
    assert one_line("a\nb") == r"a\nb" and is_harmless(one_line(FORGED))


def raised(error):
    def work():
        raise error
    return work


@pytest.mark.parametrize("error", [
    UserError(one_line(FORGED)), UserError(f"{FORGED!r} \x1b"), ParamsError("x", [FORGED]), OSError(28, "full", FORGED),
], ids=["line", "control", "params", "disk"])
def test_what_a_command_says_of_an_error_is_printable(error, capsys):
    assert run_command(raised(error)) == 2
    said = capsys.readouterr().err
    assert not CONTROLS.search(said) and r"\x1b" in said


def test_keys_of_params_and_overlays_forge_no_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    Path("overlay.yaml").write_text(json.dumps({FORGED[:-1]: 1, "finetune": {FORGED[:-1]: 1}}))
    Path("params.yaml").write_text(yaml.safe_dump(params))
    assert preset.main(["overlay.yaml"]) == 2 and is_harmless(capsys.readouterr().err)
    Path("params.yaml").write_text(json.dumps(params | {FORGED[:-1]: 1}))
    assert main(["check"]) == 2 and is_harmless(capsys.readouterr().err)


def test_names_of_tensors_and_columns_forge_no_line():
    with pytest.raises(UserError) as told:
        check_keys({}, {FORGED: torch.ones(1)}, "gpt.pth")
    assert is_harmless(str(told.value))
    with pytest.raises(UserError) as told:
        refuse([f"a.csv: must have one column 'text' (got {FORGED})"])
    assert is_harmless(str(told.value))


def test_the_utterances_of_a_skipped_step_forge_no_line(capsys):
    loop = SimpleNamespace(
        task=SimpleNamespace(utterances=lambda data: [FORGED]), state=SimpleNamespace(step=1, skipped=[]),
        settings=SimpleNamespace(skipped_steps_max=1, gradient_norm_max=1.0), processes=SimpleNamespace(is_main=True))
    Loop._skip(loop, None, 1.0, 2.0)
    assert is_harmless(capsys.readouterr().out)
    with pytest.raises(UserError) as told:
        Loop._skip(loop, None, 1.0, 2.0)
    assert is_harmless(str(told.value))


def test_what_a_damaged_state_says_forges_no_line(tmp_path, monkeypatch, capsys):
    def read(path):
        raise ValueError(FORGED)

    monkeypatch.setattr(resume, "_read", read)
    store = resume.ResumeStore(tmp_path)
    store.save({"weight": torch.ones(1)}, {"step": 1})
    assert store.load() is None and is_harmless(capsys.readouterr().err)
    with pytest.raises(UserError) as told:
        store.load_best()
    assert is_harmless(str(told.value))


def test_the_doctor_shows_foreign_words_as_text(tmp_path, capsys):
    doctor.print_table(tmp_path, [(doctor.RELEASED[0], "wrong", FORGED)])
    assert not CONTROLS.search(capsys.readouterr().out)


def test_the_doctor_tells_params_that_are_not_there_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert doctor.main([]) == 2
    assert capsys.readouterr().err == "error: params.yaml: no such file; run from the project's root\n"


@pytest.mark.parametrize("stage", ["evaluate_speech", "report", "export_model"])
def test_a_stage_that_is_started_by_its_own_name_ends_a_users_error_in_one_line(stage, tmp_path):
    options = ["--phase", "lora"] if stage == "evaluate_speech" else []
    said = subprocess.run([sys.executable, "-m", f"stages.{stage}", *options], cwd=tmp_path, text=True,
                          capture_output=True, env={"PYTHONPATH": str(ROOT), "PATH": ""})
    assert said.returncode == 2 and said.stderr.startswith("error: params.yaml: ") and said.stderr.count("\n") == 1


@pytest.mark.parametrize("place", [("finetune", "seed"), ("evaluate_speech", "seed"), ("splits", "seed"),
                                   ("compare_strategies", "seeds", 0)], ids=str)
def test_a_seed_that_no_generator_takes_is_refused(place):
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    section = params
    for name in place[:-1]:
        section = section[name]
    for seed, wrong in ((2**31, 1), (10**30, 1), (2**31 - 1, 0)):
        section[place[-1]] = seed
        assert len(params_problems(params)) == wrong


@pytest.mark.parametrize("length, wrong", [(64, False), (65, True), (300, True)])
def test_a_name_that_is_too_long_for_a_file_is_refused(length, wrong):
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["phases"]["a" * length] = params["phases"]["lora"]
    params["compare_strategies"]["strategies"]["b" * length] = params["compare_strategies"]["strategies"]["full"]
    told = "\n".join(params_problems(params))
    assert (("a" * length) in told) is wrong and (("b" * length) in told) is wrong
