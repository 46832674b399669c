"""`make base`, cut down: texts to a base that the stages can read, with its figures beside the shipped ones."""

import json
from pathlib import Path

import pytest
import yaml

from stages.build_base.__main__ import main
from stages.core.model.adapter import load_miniature_adapter
from stages.core.model.checkpoint import load_conditioner, read_trained_tensors
from stages.core.model.settings import read_settings
from tests.tiny_project import ENGLISH, WORDS, make_project

FILES = {"config.yaml", "gpt.safetensors", "bpe.model", "codebook.safetensors", "feature_statistics.safetensors",
         "recogniser.safetensors", "metrics.json"}


@pytest.fixture
def project(tmp_path, monkeypatch):
    params = make_project(tmp_path)
    build = params["build_base"]
    (tmp_path / "data/text/eng.txt").write_text("\n".join(f"{ENGLISH} The {word} goes home." for word in (
        "dog", "cat", "queen", "judge", "fox", "zebra", "village", "box", "warm", "happy", "quick", "yard")))
    build["languages"] = {"en": build["languages"]["en"]}
    build["speakers"] = build["speakers"][:2]
    build |= {"readings_per_new_span": 1, "shuffled_readings": 1, "pieces": 64}
    build["codebook"] |= {"centroids": 32, "iterations": 3}
    build["recogniser"] |= {"width": 8, "epochs": 1}
    build["model"] |= {"model_dim": 16, "layers": 1, "heads": 2, "emotion_dim": 8}
    build["pretraining"] |= {"epochs": 2, "shuffled_readings": 1, "invented_readings": 1,
                             "guide": {"weight": 0.5, "layer": 0, "heads": 1, "width": 0.1}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params, allow_unicode=True))
    monkeypatch.chdir(tmp_path)


def test_a_built_base_is_whole_readable_and_measured(project, capsys):
    assert WORDS and main([]) == 0
    base = Path(".pipeline/base")
    assert {path.name for path in base.iterdir()} == FILES
    settings = read_settings(base)
    assert settings.gpt.number_mel_codes == 34 and settings.gpt.number_text_tokens == 64
    read_trained_tensors(base, settings)
    load_conditioner(base, settings)
    assert load_miniature_adapter(base, settings).sample_rate_hz == 16000 and settings.code_rate_hz == 25
    metrics = json.loads((base / "metrics.json").read_text())
    # two epochs over a handful of sentences: better than knowing nothing (ln 34 = 3.5), far from good
    assert 1.0 < metrics["base_language_cross_entropy"] < 3.5
    assert metrics["recogniser_phone_error_rate"] > 0.3, "an untrained judge must not look like a good one"
    printed = capsys.readouterr().out
    assert "base_language_cross_entropy" in printed and "shipped" in printed
