"""All stages one after the other, on a tiny base: what each writes is what the next reads."""

import json
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import soundfile
import torch
import yaml
from peft import PeftModel
from safetensors.torch import load_file

from stages.__main__ import main
from stages.core.artifacts.files import read_jsonl
from stages.core.model.checkpoint import load_phase
from stages.core.model.settings import read_settings
from stages.core.params.shared import TrackingConfig
from stages.core.params.strict import load_section
from stages.core.tracking.mlflow_store import open_store
from stages.evaluate_speech import speak
from stages.evaluate_speech.figures import FIGURES
from tests.tiny_judge import wav2vec2, x_vectors
from tests.tiny_project import make_project

CHAIN = [
    ("prepare_corpus",), ("train_vocabulary",), ("extract_features",), ("finetune", "--phase", "lora"),
    ("finetune", "--phase", "full"), ("finetune", "--phase", "polish"), ("evaluate_speech", "--phase", "base"),
    ("evaluate_speech", "--phase", "lora"), ("evaluate_speech", "--phase", "full"),
    ("evaluate_speech", "--phase", "polish"), ("export_model",), ("report",),
]

SECRETS = {name: f"planted-{name.lower()}" for name in (
    "AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "HF_TOKEN", "DVC_REMOTE")}
DVC_CREDENTIALS = Path(".dvc/config.local")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """All stages, run by somebody whose environment and DVC hold secrets."""
    folder = tmp_path_factory.mktemp("project")
    make_project(folder)
    (folder / ".dvc").mkdir()
    (folder / DVC_CREDENTIALS).write_text(f"['remote \"store\"']\n    secret_access_key = {SECRETS['DVC_REMOTE']}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, secret in SECRETS.items():
            patch.setenv(name, secret)
        with open(folder / "said.txt", "w") as said, redirect_stdout(said), redirect_stderr(said):
            for command in CHAIN:
                assert main(list(command)) == 0, command
        yield folder


def test_no_secret_of_whoever_ran_it_is_in_anything_that_was_written(project):
    written = [path for path in project.rglob("*") if path.is_file() and path != project / DVC_CREDENTIALS]
    tried = ("mlflow.db", "data/export/MODEL_CARD.md", "reports/index.html", "said.txt")
    assert {project / name for name in tried} <= set(written)
    assert (project / "said.txt").stat().st_size
    holders = {path for path in written for secret in SECRETS.values() if secret.encode() in path.read_bytes()}
    assert holders == set()


def weights(phase):
    return load_file(Path("data/checkpoints") / phase / "model.safetensors")


def test_each_phase_changes_what_its_approach_allows(project):
    base, lora, full, polish = (weights(name) for name in ("base", "lora", "full", "polish"))
    changed = [{name for name in one if not one[name].equal(other[name])}
               for one, other in ((base, lora), (lora, full), (full, polish))]
    assert "mel_head.weight" not in changed[0] | changed[2]
    assert "text_embedding.weight" in changed[0] & changed[2]
    assert changed[1] >= set(full) - {"text_pos_embedding.emb.weight", "mel_pos_embedding.emb.weight"}
    old_pieces = 60
    assert base["text_embedding.weight"][:old_pieces].equal(lora["text_embedding.weight"][:old_pieces])


def test_each_phase_leaves_its_cost_apart_from_its_weights(project):
    for name in ("lora", "full", "polish"):
        cost = json.loads(Path(f"data/costs/{name}.json").read_text())
        assert cost["seconds"] > 0 and not cost["resumed"]
        assert cost["tokens"] == json.loads(Path(f"data/checkpoints/{name}/summary.json").read_text())["tokens_seen"]


def test_lora_phases_leave_their_adapter_and_full_ones_none(project):
    assert Path("data/checkpoints/lora/adapter/adapter_model.safetensors").is_file()
    assert Path("data/checkpoints/polish/adapter/adapter_config.json").is_file()
    assert not Path("data/checkpoints/full/adapter").exists()


def test_evaluation_writes_every_figure_and_the_same_sentences(project):
    base, polish = (json.loads(Path(f"data/evaluation/{name}/metrics.json").read_text()) for name in ("base", "polish"))
    assert tuple(base) == tuple(polish) == FIGURES
    unmeasured = {name for name, figure in polish.items() if figure is None}
    # a judge of phones writes no words; random codes may have no pitch
    assert {name for name in unmeasured if "pitch" not in name} == {
        "unreplayed_language_cross_entropy", *(name for name in FIGURES if "character" in name or "word_error" in name)}
    assert base["latent_relative_l2"]["mean"] == 0 < polish["latent_relative_l2"]["mean"]
    samples = [read_jsonl(Path(f"data/evaluation/{name}/samples/samples.jsonl")) for name in ("base", "polish")]
    assert [row["id"] for row in samples[0]] == [row["id"] for row in samples[1]]
    # random weights speak nonsense: they must not score well
    assert base["phone_error_rate"]["mean"] > 0.5
    worst = read_jsonl(Path("data/evaluation/polish/samples/worst.jsonl"))
    shares = [row["errors"] / row["length"] for row in worst]
    assert shares == sorted(shares, reverse=True) and len({row["text"] for row in worst}) == len(worst) == 2
    for row in samples[1] + worst:
        assert soundfile.info(Path("data/evaluation/polish/samples") / row["file"]).samplerate == 16000
        assert row["id"].startswith(row["speaker"]) and row["prompt"] != row["reference"]


def test_a_judge_and_an_encoder_that_are_brought_along_take_the_place_of_the_bases_own(project, tmp_path):
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["evaluate_speech"] |= {"judge": str(wav2vec2(tmp_path / "judge")), "base_judge": "none",
                                  "speaker_encoder": str(x_vectors(tmp_path / "encoder")), "emotion_sentences_max": 0}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params, allow_unicode=True))
    command = ["evaluate_speech", "--phase", "polish", "--config", str(tmp_path / "params.yaml"),
               "--output", str(tmp_path / "out")]
    assert main(command) == 0
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    unmeasured = {name for name, figure in metrics.items() if figure is None and "pitch" not in name}
    assert unmeasured == {
        "unreplayed_language_cross_entropy",
        *(name for name in FIGURES if "pitch" not in name and (
            "phone" in name or "emotion" in name or "seed_code" in name
            or "base_language_" in name and "_error_" in name)),
    }
    # a judge that says one letter whatever it hears errs on the reference as on the sample
    assert metrics["word_error_rate"]["mean"] == metrics["reference_word_error_rate"]["mean"] == 1
    assert metrics["speaker_similarity"]["mean"] <= 1.0001
    [row, *_] = read_jsonl(tmp_path / "out/samples/samples.jsonl")
    assert (row["symbols"], row["heard"]) == ("characters", "ሰ") and " " in row["expected"]


def test_the_export_is_a_base_with_the_last_phase_inside(project):
    exported, polish = load_file("data/export/gpt.safetensors"), weights("polish")
    base = load_file("data/base/gpt.safetensors")
    assert set(exported) == set(base)
    assert all(exported[name].equal(polish[name] if name in polish else base[name].float()) for name in exported)
    folder = Path("data/export")
    sums = (folder / "SHA256SUMS").read_text().splitlines()
    assert {line.split("  ")[1] for line in sums} == {
        path.relative_to(folder).as_posix() for path in folder.rglob("*")
        if path.is_file() and path.name != "SHA256SUMS"
    }
    assert {"MODEL_CARD.md", "text_settings.json", "adapter/adapter_config.json"} <= {line[66:] for line in sums}


def test_the_exported_adapter_on_the_weights_it_started_from_gives_the_exported_ones(project):
    start = load_phase(Path("data/checkpoints/full"), read_settings(Path("data/base")).gpt)
    merged = PeftModel.from_pretrained(start, "data/export/adapter").merge_and_unload().state_dict()
    exported = load_file("data/export/gpt.safetensors")
    for name, value in merged.items():
        torch.testing.assert_close(value, exported[name], atol=1e-5, rtol=0.0)


def test_the_card_tells_what_the_stages_measured(project):
    card = Path("data/export/MODEL_CARD.md").read_text()
    measured = json.loads(Path("data/evaluation/polish/metrics.json").read_text())
    assert f"{measured['code_cross_entropy']['mean']:.3f}" in card
    assert all(f"| {phase} |" in card for phase in ("lora", "full", "polish"))
    assert "| am | target | 2 |" in card and "unmeasured" in card
    assert Path("data/export/adapter/adapter_config.json").is_file()


def test_the_export_speaks_in_a_held_out_voice(project, capsys):
    assert speak.main(["--model", "data/export", "--text", "ማንም ሰው እኩል ነው። 25% ነው።", "--out", "speech.wav"]) == 0
    assert "in 2 span(s)" in capsys.readouterr().out
    assert abs(soundfile.read("speech.wav")[0]).max() > 0.001


def test_the_export_is_a_registered_model_with_held_out_voices(project):
    client = open_store(load_section(TrackingConfig, "tracking"))[0]
    [version] = client.search_model_versions("name = 'amharic-indextts2'")
    assert client.get_run(version.run_id).info.run_name == "export_model"
    assert {path.stem for path in Path("data/export/voices").iterdir()} == {"am-m2", "am-m4"}
    assert "`voices/` holds recordings" in Path("data/export/MODEL_CARD.md").read_text()


@pytest.mark.parametrize(("old", "new"), [
    ("registered_as: amharic-indextts2", "registered_as: ''"), ("uri: sqlite:///{project}/mlflow.db", "uri: none"),
])
def test_an_export_that_is_not_to_be_registered_is_the_same_folder(project, old, new):
    held, sums = Path("params.yaml").read_text(), Path("data/export/SHA256SUMS").read_text()
    old = old.format(project=project)
    Path("params.yaml").write_text(held.replace(old, new))
    try:
        assert old in held and main(["export_model"]) == 0
    finally:
        Path("params.yaml").write_text(held)
    client = open_store(load_section(TrackingConfig, "tracking"))[0]
    assert [str(version.version) for version in client.search_model_versions("name = 'amharic-indextts2'")] == ["1"]
    assert Path("data/export/SHA256SUMS").read_text() == sums


def test_text_settings_that_the_corpus_was_not_read_with_are_refused(project, capsys):
    held = Path("params.yaml").read_text()
    Path("params.yaml").write_text(held.replace("calendar: ethiopian", "calendar: gregorian"))
    before = Path("data/export/SHA256SUMS").read_text()
    try:
        assert main(["export_model"]) == 2
    finally:
        Path("params.yaml").write_text(held)
    assert "run the stages from prepare_corpus again" in capsys.readouterr().err
    assert Path("data/export/SHA256SUMS").read_text() == before


@pytest.mark.parametrize("command, read", [
    (("evaluate_speech", "--phase", "polish"), "checkpoints/polish"),
    (("evaluate_speech", "--phase", "full"), "features"), (("evaluate_speech", "--phase", "base"), "corpus"),
    (("finetune", "--phase", "polish"), "checkpoints/full"), (("export_model",), "checkpoints/polish"),
])
def test_a_checkpoint_of_another_text_front_end_is_refused(project, capsys, command, read):
    summary = Path("data") / read / "summary.json"
    held = summary.read_text()
    summary.write_text(json.dumps({**json.loads(held), "text_settings": "0" * 64}))
    try:
        assert main(list(command)) == 2
    finally:
        summary.write_text(held)
    error = capsys.readouterr().err
    assert "run the stages from prepare_corpus again" in error and len(error.splitlines()) == 1


def test_a_finished_phase_gives_the_same_bytes_again(project):
    before = Path("data/checkpoints/lora/model.safetensors").read_bytes()
    assert main(["finetune", "--phase", "lora"]) == 0
    assert Path("data/checkpoints/lora/model.safetensors").read_bytes() == before


def test_a_missing_base_file_is_one_line_and_leaves_the_output_as_it_was(project, capsys):
    before = Path("data/vocabulary/bpe.model").read_bytes()
    held = Path("data/base/bpe.model").rename("held")
    try:
        assert main(["train_vocabulary"]) == 2
    finally:
        held.rename("data/base/bpe.model")
    error = capsys.readouterr().err
    assert "data/base/bpe.model: missing" in error and "Traceback" not in error
    assert Path("data/vocabulary/bpe.model").read_bytes() == before
