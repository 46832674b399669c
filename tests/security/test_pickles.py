"""Files that are pickles, or pretend not to be: nothing in them runs, whoever reads them."""

import pickle
from pathlib import Path

import pytest
import torch
import yaml

from stages.core.errors import UserError
from stages.core.model.checkpoint import read_base_tensors
from stages.core.model.released import read_statistics
from stages.core.model.settings import parse_settings
from stages.core.params.command import run_command
from stages.core.training.features import FeatureSet
from stages.core.training.resume import ResumeStore
from stages.evaluate_speech.transformers_models import load_speech_model
from stages.prepare_corpus.shards import ShardStore
from tests.released_base import released_config
from tests.tiny_job import write_features


class Bomb:
    """Makes a file named canary when it is unpickled."""

    def __reduce__(self):
        return Path.touch, (Path("canary"),)


def save_zip(path):
    torch.save({"weight": Bomb()}, path, pickle_module=pickle)


def save_legacy(path):
    torch.save({"weight": Bomb()}, path, pickle_module=pickle, _use_new_zipfile_serialization=False)


def save_raw(path):
    path.write_bytes(pickle.dumps(Bomb()))


@pytest.fixture(params=[save_zip, save_legacy, save_raw], ids=["zip", "legacy", "raw"])
def plant(request, tmp_path, monkeypatch):
    """Write a bomb, after it was seen to go off where somebody is careless."""
    monkeypatch.chdir(tmp_path)
    save_raw(Path("careless"))
    pickle.loads(Path("careless").read_bytes())
    assert Path("canary").exists()
    Path("canary").unlink()
    yield lambda path: request.param(Path(path))
    assert not Path("canary").exists(), "a file that was read ran code"


def read_gpt(name):
    content = {**released_config(32), "gpt_checkpoint": name}
    read_base_tensors(Path("."), parse_settings(content, "config.yaml"))


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("gpt.pth", lambda: read_gpt("gpt.pth")),
        ("gpt.safetensors", lambda: read_gpt("gpt.safetensors")),
        ("wav2vec2bert_stats.pt", lambda: read_statistics(Path("wav2vec2bert_stats.pt"))),
    ],
)
def test_a_part_of_a_base_is_refused_in_one_line(plant, capsys, name, read):
    plant(name)
    assert run_command(read) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {name}: ")


def test_a_shard_of_features_is_refused_in_one_line(plant, capsys):
    write_features(Path("."))
    plant("a.safetensors")
    assert run_command(lambda: FeatureSet(Path("."), lambda row: True).row(0)) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("error: a.safetensors: no shard of features")


def test_a_resume_state_is_named_and_passed_over(plant, capsys):
    store = ResumeStore(Path("."))
    store.save({"weight": torch.ones(1)}, {"step": 1})
    plant("state-000000002.safetensors")
    assert store.load()[1] == {"step": 1}
    assert "state-000000002.safetensors: damaged" in capsys.readouterr().err
    plant("best.safetensors")
    with pytest.raises(UserError, match="best.safetensors: damaged"):
        store.load_best()


def test_a_judge_that_is_brought_along_is_refused_in_one_line(plant, capsys):
    Path("judge").mkdir()
    Path("judge/config.json").write_text('{"model_type": "wav2vec2", "architectures": ["Wav2Vec2ForCTC"]}')
    plant("judge/pytorch_model.bin")
    assert run_command(lambda: load_speech_model(Path("judge"), "AutoModelForCTC", torch.device("cpu"), False)) == 2
    assert capsys.readouterr().err.startswith("error: judge: ")


def test_the_code_that_a_judge_brings_along_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("judge").mkdir()
    Path("judge/config.json").write_text('{"model_type": "own", "auto_map": {"AutoConfig": "own.Own", '
                                         '"AutoModelForCTC": "own.Own"}}')
    Path("judge/own.py").write_text("from pathlib import Path\nPath('canary').touch()\n")
    with pytest.raises(UserError, match="judge"):
        load_speech_model(Path("judge"), "AutoModelForCTC", torch.device("cpu"), False)
    assert not Path("canary").exists()


def test_the_plan_of_a_corpus_that_was_there_before_the_run_is_never_read(plant):
    store = ShardStore(Path("prepare_corpus"))
    store.plan.mkdir(parents=True)
    plant(store.plan / "000000.rows")
    with store.lock():
        assert list(store.plan.iterdir()) == []


TAG = "!!python/object/apply:os.mkdir [canary]"


def read_yaml_files():
    """Everything that is YAML and comes from users, by what reads it."""
    from stages.compare_strategies.runs import read_run
    from stages.core.model.settings import read_settings
    from stages.schema import check_params

    return {
        "params.yaml": lambda: check_params(),
        "config.yaml": lambda: read_settings(Path(".")),
        "lora.yaml": lambda: read_run("lora", Path(".")),
    }


@pytest.mark.parametrize("name", read_yaml_files())
def test_a_yaml_file_with_python_in_it_is_refused_in_one_line(tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(f"base: {TAG}\n")
    yaml.unsafe_load(Path(name).read_text())
    Path("canary").rmdir()
    assert run_command(read_yaml_files()[name]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {name}: not valid YAML: a value does not fit its tag, or the tag is unknown")
    assert "line 1, column 7" in line and "canary" not in line
    assert not Path("canary").exists()


def test_an_overlay_with_python_in_it_leaves_the_params_as_they_were(tmp_path, monkeypatch, capsys):
    from workflow.preset import main

    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("base: {path: data/base}\n")
    Path("overlay.yaml").write_text(f"base: {TAG}\n")
    assert main(["overlay.yaml"]) == 2
    assert "overlay.yaml: not valid YAML" in capsys.readouterr().err
    assert Path("params.yaml").read_text() == "base: {path: data/base}\n" and not Path("canary").exists()
