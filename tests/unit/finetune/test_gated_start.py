import shutil
from pathlib import Path

import pytest
import yaml

from stages.__main__ import main as run_stages
from stages.core.artifacts.files import read_json
from stages.core.artifacts.gates import mark_handed_on
from tests.tiny_job import make_workplace


@pytest.fixture
def train_full(tmp_path, monkeypatch):
    """Trains phase `full` of a small workplace from a named start; gives its summary and its weights."""
    make_workplace(tmp_path)
    monkeypatch.chdir(tmp_path)
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["tracking"]["uri"] = "none"

    def train(start, **gates):
        params["gate_phase"] = gates
        params["phases"]["full"]["start_from"] = start
        Path("params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
        assert run_stages(["finetune", "--phase", "full"]) == 0
        folder = Path("data/checkpoints/full")
        return read_json(folder / "summary.json"), (folder / "model.safetensors").read_bytes()

    return train


def test_a_start_through_a_gate_is_told_as_it_was_and_the_same_weights_are_not_trained_on_again(train_full, capsys):
    summary, weights = train_full("base")
    assert (summary["start_from"], summary["started_from"], summary["lineage"]) == ("base", "base", ["full"])
    shutil.copytree("data/checkpoints/base", "data/checkpoints/lora_gated")
    mark_handed_on(Path("data/checkpoints/lora_gated"), "lora", "base")
    capsys.readouterr()
    limits = {"stop_rate": {"min": 1.0}}
    through, same = train_full("lora_gated", lora={"previous": "base", "on_failure": "fall_back", "limits": limits})
    assert (through["start_from"], through["started_from"]) == ("lora_gated", "base")
    assert (through["lineage"], same) == (["full"], weights)
    said = capsys.readouterr().out
    assert "finetune@full: lora_gated holds base" in said
    assert f"finetune@full: continues at step {summary['steps']}" in said
