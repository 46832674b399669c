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
from tests.released_base import CODES, PIECES
from tests.released_project import BASE, SCHEDULE, make_released_project, run_schedule
from tests.tiny_judge import wav2vec2

SPEECH_FIGURES = (
    "phone_error_rate", "codes_phone_error_rate", "reference_phone_error_rate", "speaker_similarity",
    "skipped_word_rate", "pitch_deviation_semitones", "emotion_code_change", "base_language_phone_error_rate",
)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    make_released_project(folder, features=32, speakers=2)
    with pytest.MonkeyPatch.context() as patch:
        run_schedule(folder, patch, SCHEDULE)
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
    kept = [*Path(".resume/extract_features").glob("*/*.safetensors")]
    assert kept and all(path.samefile(Path("data/features", path.name)) for path in kept), "what is kept costs room"


def test_codes_are_measured_and_speech_is_not(project):
    for phase in ("base", "polish"):
        metrics = json.loads(Path(f"data/evaluation/{phase}/metrics.json").read_text())
        assert all(metrics[name] is None for name in SPEECH_FIGURES)
        assert metrics["code_cross_entropy"]["mean"] > 0 and metrics["stop_rate"] is not None
        assert metrics["duration_ratio"]["mean"] > 0 and metrics["latent_cosine"]["mean"] <= 1
        assert read_jsonl(Path(f"data/evaluation/{phase}/samples/samples.jsonl")) == []
    assert "unmeasured" in Path("reports/index.html").read_text(encoding="utf-8")


def test_the_floor_of_a_brought_judge_is_measured_without_a_decoder(project, tmp_path):
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["evaluate_speech"] |= {"judge": str(wav2vec2(tmp_path / "judge"))}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params, allow_unicode=True))
    assert main(["evaluate_speech", "--phase", "base", "--config", str(tmp_path / "params.yaml"),
                 "--output", str(tmp_path / "out")]) == 0
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    assert metrics["character_error_rate"] is None and metrics["reference_character_error_rate"]["mean"] > 0.5
    assert metrics["reference_character_error_rate"]["sentences"] == metrics["stop_rate"]["sentences"]


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
