"""Lists that name files: nothing outside the folder that they belong to is read, copied or written."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from stages.core.artifacts.files import below, read_jsonl, write_jsonl
from stages.core.errors import ParamsError, UserError
from stages.core.model.settings import parse_settings
from stages.core.params.command import run_command
from stages.core.speaking.prompts import held_out_prompts
from stages.core.training.features import INDEX_FILE, FeatureSet
from stages.evaluate_speech.listen import read_corpus
from stages.export_model.contents import write_voices
from stages.extract_features import __main__ as extraction
from stages.extract_features.config import Config
from stages.report.gather import Result, Sample
from stages.report.listening import reference_sound
from tests.released_base import released_config
from tests.tiny_job import write_features

OUTWARD = ["../secret.wav", "/etc/passwd", "audio/../../secret.wav"]


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """A corpus of one recording in `corpus`, with a secret beside it; gives a function that renames the recording."""
    monkeypatch.chdir(tmp_path)
    Path("corpus").mkdir()
    Path("secret.wav").write_bytes(b"secret")

    def name_audio(name):
        row = {"id": "a", "audio": name, "role": "target", "split": "test", "speaker": "s", "duration_seconds": 1.0}
        write_jsonl(Path("corpus/manifest.jsonl"), [row])
        return row

    return name_audio


@pytest.mark.parametrize("name", OUTWARD)
def test_a_manifest_that_names_a_file_outside_the_corpus_is_refused_by_who_reads_it(corpus, capsys, monkeypatch, name):
    monkeypatch.setattr(extraction, "CORPUS", Path("corpus"))
    monkeypatch.setattr(extraction, "VOCABULARY", Path("corpus"))
    Path("corpus/bpe.model").touch()
    row = corpus(name)
    drawn = [SimpleNamespace(utterance=SimpleNamespace(id="a", prompt="a"))]
    config = Config(prompt_seconds_max=2.0, batch_seconds=6.0, shard_utterances=9)
    readers = (
        lambda: held_out_prompts(Path("corpus")), lambda: write_voices(Path("corpus"), Path("export"), 1),
        lambda: read_corpus(drawn, {"a": row}, Path("corpus"), 16000),
        lambda: extraction.open_store(Path("base"), config, [row], SimpleNamespace(type="cpu")),
    )
    for read in readers:
        assert run_command(read) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert line == f"error: corpus: a file that it lists must lie in it (got {name!r})"
    assert not Path("export").exists()


@pytest.mark.parametrize("name", ["../a.safetensors", "/tmp/a.safetensors"])
def test_an_index_that_names_a_shard_outside_its_folder_is_refused(tmp_path, name):
    write_features(tmp_path)
    rows = read_jsonl(tmp_path / INDEX_FILE)
    write_jsonl(tmp_path / INDEX_FILE, [{**row, "shard": name} for row in rows])
    with pytest.raises(UserError, match="a file that it lists must lie in it"):
        FeatureSet(tmp_path, lambda row: True).row(0)


def test_an_index_of_a_part_of_the_features_names_shards_elsewhere_in_data_and_no_further(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in (Path("data/features"), Path("other")):
        folder.mkdir(parents=True)
        write_features(folder)
    part = Path("data/comparison/plan/small")
    part.mkdir(parents=True)
    rows = read_jsonl(Path("data/features") / INDEX_FILE)

    def read(place):
        write_jsonl(part / INDEX_FILE, [{**row, "shard": f"{place}/{row['shard']}"} for row in rows])
        return FeatureSet(part, lambda row: True).row(0)

    assert len(read("../../../features").codes) > 0
    with pytest.raises(UserError, match="a file that it lists must lie in it"):
        read("../../../../other")


@pytest.mark.parametrize("name", OUTWARD)
def test_a_list_of_samples_that_names_a_sound_elsewhere_is_refused_by_the_report(name):
    sample = Sample(file=name, text="a", speaker="s", reference=name, duration_seconds=1.0)
    for read in (lambda: Result("full", {}, [sample], []).audio(sample), lambda: reference_sound(sample)):
        with pytest.raises(UserError, match="a file that it lists must lie in it"):
            read()


@pytest.mark.parametrize("name", ["a.wav", "audio/a.wav", "audio/..a/b...wav"])
def test_a_file_inside_is_found_whatever_its_dots(name):
    assert below(Path("corpus"), name) == Path("corpus") / name


@pytest.mark.parametrize("name", ["../../.bashrc", "/root/.bashrc"])
@pytest.mark.parametrize("field", ["gpt_checkpoint", "w2v_stat", "s2mel_checkpoint", "emo_matrix", "spk_matrix",
                                   "qwen_emo_path", "dataset.bpe_model"])
def test_a_base_whose_config_names_a_file_elsewhere_is_refused(field, name):
    """An export writes weights under the name that the base gives them."""
    content = released_config(32)
    place = content["dataset"] if "." in field else content
    place[field.rpartition(".")[2]] = name
    with pytest.raises(ParamsError, match="must be a file in the base's folder") as error:
        parse_settings(content, "config.yaml")
    assert error.value.problems == [f"{field}: must be a file in the base's folder (got {name!r})"]
