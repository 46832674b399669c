"""A released base's folder, random weights at a small shape, through the whole schedule: the same stages and params."""

import json
from pathlib import Path

import pytest
import torch
import yaml

from stages.__main__ import main
from stages.core.artifacts.files import read_jsonl
from stages.core.model.checkpoint import load_conditioner, read_trained_tensors
from stages.core.model.settings import read_settings
from stages.core.text.tokenizer import Tokenizer
from stages.core.training.features import FeatureSet
from tests.released_base import CODES, PIECES, make_released_base
from tests.tiny_project import make_project

BASE = Path("data/raw/indextts2")
CHAIN = [
    ("prepare_corpus",), ("train_vocabulary",), ("extract_features",), ("finetune", "--phase", "lora"),
    ("finetune", "--phase", "full"), ("finetune", "--phase", "polish"), ("evaluate_speech", "--phase", "base"),
    ("evaluate_speech", "--phase", "lora"), ("evaluate_speech", "--phase", "full"),
    ("evaluate_speech", "--phase", "polish"), ("export_model",), ("report",),
]
SPEECH_FIGURES = ("phone_error_rate", "codes_phone_error_rate", "reference_phone_error_rate", "speaker_similarity")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    params = make_project(folder)
    make_released_base(folder / BASE)
    params["base"]["path"] = str(BASE)
    params["extract_features"] |= {"prompt_seconds_max": 1.0, "batch_seconds": 20.0, "shard_utterances": 16}
    (folder / "params.yaml").write_text(yaml.safe_dump(params, allow_unicode=True, sort_keys=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for command in CHAIN:
            assert main(list(command)) == 0, command
        yield folder


def test_features_are_the_released_codes(project):
    features = FeatureSet(Path("data/features"), lambda row: True)
    manifest = {row["id"]: row for row in read_jsonl(Path("data/corpus/manifest.jsonl"))}
    seen: set[int] = set()
    for index, utterance in enumerate(features.utterances):
        codes = features.row(index).codes
        seconds = manifest[utterance.id]["duration_seconds"]
        assert abs(len(codes) / 50 - seconds) < 0.05 and int(codes.max()) < CODES
        seen |= set(codes.tolist())
    assert len(seen) > CODES // 4
    assert json.loads(Path("data/features/summary.json").read_text())["code_rate_hz"] == 50
    assert not Path(".resume/extract_features").exists()


def test_codes_are_measured_and_speech_is_not(project):
    for phase in ("base", "polish"):
        metrics = json.loads(Path(f"data/evaluation/{phase}/metrics.json").read_text())
        assert all(metrics[name] is None for name in SPEECH_FIGURES)
        assert metrics["code_cross_entropy"]["mean"] > 0 and metrics["stop_rate"] is not None
        assert read_jsonl(Path(f"data/evaluation/{phase}/samples/samples.jsonl")) == []
    assert "unmeasured" in Path("reports/index.html").read_text(encoding="utf-8")


def test_the_export_is_a_released_base_with_the_new_pieces(project):
    exported, base = read_settings(Path("data/export")), read_settings(BASE)
    assert exported.gpt.number_text_tokens == len(Tokenizer(Path("data/export/bpe.model"))) > PIECES
    trained = read_trained_tensors(Path("data/export"), exported)
    old = read_trained_tensors(BASE, base)
    assert trained.keys() == old.keys()
    assert trained["text_embedding.weight"].shape[0] == exported.gpt.number_text_tokens + 1
    frozen, untouched = (load_conditioner(folder, settings).state_dict()
                         for folder, settings in ((Path("data/export"), exported), (BASE, base)))
    assert all(torch.equal(frozen[name], value) for name, value in untouched.items())
