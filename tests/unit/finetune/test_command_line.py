import csv
import json
import os
from pathlib import Path

import pytest
import yaml

from stages.__main__ import main as run_stages
from stages.core.errors import ParamsError, UserError
from stages.core.training.resume import ResumeStore
from stages.finetune.command_line import build_parser, parse_job
from tests.params_file import edit_params
from tests.tiny_job import BASE_PIECES, make_workplace


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("command_line")
    make_workplace(folder)
    edit_params(folder, lambda params: params["finetune"].update(log_every_steps=1))
    return folder


@pytest.fixture(autouse=True)
def inside(place, monkeypatch):
    monkeypatch.chdir(place)


def parse(*argv):
    return parse_job(list(argv), None)


def test_without_flags_the_params_decide():
    job = parse("--phase", "lora")
    params = yaml.safe_load(Path("params.yaml").read_text())
    assert job.phase.model_dump() == params["phases"]["lora"] | {"lora": params["phases"]["lora"]["lora"]}
    assert (str(job.output), str(job.start)) == ("data/checkpoints/lora", "data/checkpoints/base")


def test_flags_override_the_params_and_the_result_stays_out_of_the_schedule():
    job = parse("--phase", "lora", "--lora_rank", "3", "--lora_alpha", "6", "--learning_rate", "0.002", "--batch_size",
                "5", "--epochs", "7", "--model_path", "data/checkpoints/base")
    assert (job.phase.lora.rank, job.phase.lora.alpha) == (3, 6)
    assert (job.phase.learning_rate, job.phase.batch_utterances, job.phase.epochs) == (0.002, 5, 7)
    assert str(job.output) == "runs/lora"


@pytest.mark.parametrize("argv, approach", [
    (["--use_lora"], "lora"), (["--use_lora", "True"], "lora"), (["--use_lora", "false"], "full"), ([], "lora"),
])
def test_use_lora_chooses_the_first_phase_of_that_approach(argv, approach):
    job = parse(*argv, "--model_path", "data/checkpoints/base")
    assert (job.name, job.phase.approach) == (approach, approach)


def test_use_lora_turns_a_full_phase_into_lora_and_back():
    job = parse("--phase", "full", "--use_lora", "True", "--lora_rank", "2", "--model_path", "data/checkpoints/base")
    assert job.phase.approach == "lora" and job.phase.lora.rank == 2 and job.phase.lora.targets
    assert parse("--phase", "lora", "--use_lora", "False").phase.lora is None


@pytest.mark.parametrize("argv, said", [
    (["--phase", "fool"], r"no phase named 'fool'; there are lora, full, polish"),
    (["--phase", "lora", "--batch_size", "0", "--lora_rank", "-1"], r"2 problem(?s:.*)batch_utterances.*\(got 0\)"),
    (["--phase", "lora", "--model_path", "nowhere"], r"missing: nowhere/model.safetensors"),
    (["--phase", "lora", "--use_lora", "False", "--lora_rank", "4"], r"--lora_rank: only with approach lora"),
    (["--phase", "lora", "--train_manifest", "a.jsonl", "--amharic_vocab", "b.model"], r"missing: a.jsonl, b.model"),
])
def test_wrong_flags_are_told_in_plain_words(argv, said):
    with pytest.raises((ParamsError, UserError), match=said):
        parse(*argv)


def test_the_help_explains_every_flag():
    said = build_parser("A docstring.").format_help()
    for flag in ("--config", "--model_path", "--amharic_vocab", "--train_manifest", "--val_manifest", "--use_lora",
                 "--lora_rank", "--lora_alpha", "--learning_rate", "--batch_size", "--phase"):
        assert flag in said
    assert said.count("(default:") == len(build_parser(None)._actions) - 1


def test_a_run_by_flags_writes_its_settings_and_touches_no_phase(capsys):
    features = "data/features/index.jsonl"
    assert run_stages(["finetune", "--use_lora", "--lora_rank", "2", "--train_manifest", features, "--val_manifest",
                       features, "--learning_rate", "0.004", "--batch_size", "8"]) == 0
    said = capsys.readouterr().out
    settings = yaml.safe_load(Path("runs/lora/config.yaml").read_text())
    assert settings["phase"]["learning_rate"] == 0.004 and settings["phase"]["lora"]["rank"] == 2
    assert yaml.safe_dump(settings, sort_keys=False) in said
    assert "tokens/s" in said and "ETA" in said and "estimated memory" in said


def test_tokens_end_a_run_at_the_next_whole_step_and_its_cost_is_told(tmp_path):
    command = ["finetune", "--phase", "full", "--model_path", "data/checkpoints/base", "--epochs", "50", "--tokens_max",
               "900", "--output", str(tmp_path / "full"), "--resume", str(tmp_path / "states"), "--cost",
               str(tmp_path / "cost.json")]
    assert run_stages(command) == 0
    summary, cost = (json.loads((tmp_path / name).read_text()) for name in ("full/summary.json", "cost.json"))
    curve = [float(row["tokens_seen"]) for row in csv.DictReader((tmp_path / "full/curves.csv").open())]
    assert summary["tokens_seen"] >= 900 > max(tokens for tokens in curve if tokens < summary["tokens_seen"])
    assert (cost["tokens"], cost["resumed"]) == (summary["tokens_seen"], False)
    assert cost["tokens_per_second"] > 0 and cost["peak_memory_gib"] >= cost["training_memory_gib"] >= 0
    assert cost["git_commit"] and cost["made_from"] == {}
    assert run_stages(command) == 0
    again = json.loads((tmp_path / "cost.json").read_text())
    assert (again["resumed"], again["tokens"], again["tokens_per_second"]) == (True, 0, None)


def test_a_run_forgets_old_states_of_other_settings_but_none_of_a_living_run(tmp_path):
    stores = {name: ResumeStore(tmp_path / "finetune@lora" / name) for name in ("newest", "dead", "living")}
    for age, store in enumerate(stores.values()):
        store.save({}, {"step": 1})
        os.utime(store.states()[0], (1000 - age, 1000 - age))
    with stores["living"].lock():
        assert run_stages(["finetune", "--phase", "lora", "--model_path", "data/checkpoints/base", "--epochs", "1",
                           "--output", str(tmp_path / "out"), "--resume", str(tmp_path)]) == 0
    assert {name for name, store in stores.items() if store.states()} == {"newest", "living"}


def test_a_vocabulary_that_does_not_fit_the_model_is_refused(capsys):
    assert run_stages(["finetune", "--phase", "lora", "--amharic_vocab", "data/base/bpe.model"]) == 2
    assert f"data/base/bpe.model: has {BASE_PIECES} pieces" in capsys.readouterr().err
