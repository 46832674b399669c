"""Archives with members that lead elsewhere, in every place where a user's file or folder goes: none is unpacked."""

import io
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch
import yaml

from stages.__main__ import main
from stages.core.model.checkpoint import read_base_tensors
from stages.core.model.settings import read_settings
from stages.core.params.command import run_command
from stages.evaluate_speech.transformers_models import load_speech_model
from stages.prepare_corpus.sources.every import RECORDED
from tests.corpora import readings, source, write_jsonl
from tests.released_base import make_released_base
from tests.tiny_project import tiny_params

RECORDING = Path("data/recordings/home")


def pack_tar(path, names, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())


def pack_tar_gz(path, names):
    pack_tar(path, names, "w:gz")


def pack_zip(path, names):
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "")


def pack_weights(path, names):
    """A file of torch.save, which is a zip, with more in it."""
    torch.save({"weight": torch.ones(1)}, path)
    with zipfile.ZipFile(path, "a") as archive:
        for name in names:
            archive.writestr(name, "")


def pack_old_weights(path, names):
    """The kind of tar that torch.save once wrote; torch.load would unpack parts of it, were it not for weights_only."""
    pack_tar(path, [*names, "storages", "tensors", "pickle"])


PACKERS = [pack_tar, pack_tar_gz, pack_zip]
WEIGHTS = [*PACKERS, pack_weights, pack_old_weights]


@pytest.fixture
def plant(request, tmp_path, monkeypatch):
    """Write an archive, after it was seen to leave its canaries where somebody is careless. Gives who writes it.

    The current folder is a project that lies deep enough for a `../` to stay in the test's own folder.
    """
    absolute = tmp_path / "elsewhere/canary"
    names = ["../canary", f"{'../' * 3}canary", "canary", str(absolute)]
    careless = tmp_path / "careless/deep/deeper/deepest"
    careless.mkdir(parents=True)
    absolute.parent.mkdir()
    unpack(request.param, careless, names)
    assert list(tmp_path.rglob("canary"))
    shutil.rmtree(tmp_path / "careless")
    absolute.unlink(missing_ok=True)
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    yield lambda path: request.param(path, names)
    assert not list(tmp_path.rglob("canary")), "an archive was unpacked"


def unpack(pack, folder, names):
    packed = folder.with_suffix(".packed")
    pack(packed, names)
    if zipfile.is_zipfile(packed):
        with zipfile.ZipFile(packed) as archive:
            archive.extractall(folder)
    else:
        with tarfile.open(packed) as archive:
            archive.extractall(folder, filter="fully_trusted")


def write_params(**sections):
    """The tiny project's params with values of sections replaced."""
    params = tiny_params()
    for name, values in {"tracking": {"uri": "none"}, **sections}.items():
        params[name] |= values
    Path("params.yaml").write_text(yaml.safe_dump(params, allow_unicode=True))


def refused(capsys, act):
    """What a command says that ends with status 2."""
    assert run_command(act) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said and said.startswith("error: ")
    return said.splitlines()


COLUMNS = {"audio_column": "a", "text_column": "t", "speaker": "s"}
OF_EACH_KIND = {
    "kaldi": {}, "fleurs": {"tables": ["train"]}, "common_voice": {"table": "validated.tsv"},
    "ljspeech": {"speaker": "one"}, "jsonl": {"manifest": "manifest.jsonl"},
    "spreadsheet": {"table": "table.csv", "delimiter": "comma", **COLUMNS},
    "parquet": {"files": "*.parquet", **COLUMNS},
}


def test_every_kind_of_source_is_tried():
    assert set(OF_EACH_KIND) == set(RECORDED)


@pytest.mark.parametrize("kind", OF_EACH_KIND)
@pytest.mark.parametrize("plant", PACKERS, indirect=True)
def test_an_archive_in_place_of_a_corpus_is_refused(plant, capsys, kind):
    _, params = source(kind, Path.cwd(), RECORDING.name, **OF_EACH_KIND[kind])
    RECORDING.rmdir()
    plant(RECORDING)
    write_params(prepare_corpus={"sources": [params]})
    for line in refused(capsys, lambda: main(["prepare_corpus"])):
        assert line.removeprefix("error: ").startswith(f"{RECORDING}"), line


@pytest.mark.parametrize("plant", PACKERS, indirect=True)
def test_archives_in_place_of_a_recording_and_of_a_list_of_them_are_quarantined(plant, capsys):
    """What is left is no corpus, which ends the stage."""
    sources = [write_jsonl(Path.cwd(), readings(1, ("m2",)), name) for name in ("home", "list")]
    [sound] = RECORDING.rglob("*.ogg")
    plant(sound)
    plant(RECORDING.with_name("list") / "manifest.jsonl")
    write_params(prepare_corpus={"sources": sources})
    [line] = refused(capsys, lambda: main(["prepare_corpus"]))
    assert "no test and no train utterance" in line and "1 x unreadable audio" in line
    assert "not UTF-8" in line or "NUL character" in line


@pytest.mark.parametrize("plant", PACKERS, indirect=True)
def test_an_archive_in_place_of_a_base_is_refused_in_one_line(plant, capsys):
    plant(Path("base.zip"))
    write_params(base={"path": "base.zip"})
    [line] = refused(capsys, lambda: main(["train_vocabulary"]))
    assert line == "error: base.zip: must be the base's folder, unpacked (got a file)"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_released_base(tmp_path_factory.mktemp("released") / "base")


@pytest.mark.parametrize("plant", WEIGHTS, indirect=True)
def test_an_archive_in_place_of_the_weights_of_a_base_is_refused(plant, capsys, base):
    shutil.copytree(base, "base")
    plant(Path("base/gpt.pth"))
    first, *_ = refused(capsys, lambda: read_base_tensors(Path("base"), read_settings(Path("base"))))
    assert first.startswith("error: base/gpt.pth: ")


@pytest.mark.parametrize("plant", WEIGHTS, indirect=True)
def test_an_archive_in_place_of_the_weights_of_a_judge_is_refused_in_one_line(plant, capsys):
    Path("judge").mkdir()
    Path("judge/config.json").write_text('{"model_type": "wav2vec2", "architectures": ["Wav2Vec2ForCTC"]}')
    plant(Path("judge/pytorch_model.bin"))
    [line] = refused(capsys, lambda: load_speech_model(Path("judge"), "AutoModelForCTC", torch.device("cpu"), False))
    assert line.startswith("error: judge: ")
