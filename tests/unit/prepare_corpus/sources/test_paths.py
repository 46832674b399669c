"""Audio lies in the corpus' own folder, whatever its table says."""

import os

import pytest

from stages.core.errors import UserError
from stages.prepare_corpus.sources.common import BadRow, locate
from stages.prepare_corpus.sources.ljspeech import LjspeechSource
from tests.corpora import WRITERS, readings


def corpus(**params):
    return LjspeechSource(kind="ljspeech", name="home", role="target", language="am", path="data/recordings/home",
                          speaker="me", **params)


@pytest.fixture
def folder(folder):
    (folder / "wavs").mkdir()
    (folder / "wavs/a.wav").write_bytes(b"sound")
    (folder.parent / "other.wav").write_bytes(b"sound")
    return folder


@pytest.mark.parametrize("written", ["wavs/a.wav", "./wavs//a.wav", "wavs/../wavs/a.wav", "wavs/missing.wav"])
def test_a_path_inside_is_taken(folder, written):
    assert locate(corpus(), written).parent.samefile(folder / "wavs")


@pytest.mark.parametrize("written", ["../other.wav", "wavs/../../other.wav", "..", "../home2/a.wav"])
def test_a_path_out_of_the_corpus_is_refused(folder, written):
    with pytest.raises(BadRow, match="path out of the corpus: "):
        locate(corpus(), written)


@pytest.mark.parametrize("link, target", [("link.wav", "../other.wav"), ("folder", "../..")])
def test_a_symbolic_link_out_of_the_corpus_is_refused(folder, link, target):
    (folder / link).symlink_to(target)
    with pytest.raises(BadRow, match="symbolic link out of the corpus: "):
        locate(corpus(), link if link.endswith("wav") else f"{link}/recordings/other.wav")


def test_a_symbolic_link_inside_the_corpus_is_taken_and_a_loop_does_not_hang(folder):
    (folder / "link.wav").symlink_to("wavs/a.wav")
    assert locate(corpus(), "link.wav").read_bytes() == b"sound"
    (folder / "loop.wav").symlink_to("loop.wav")
    assert not locate(corpus(), "loop.wav").exists()


def test_a_file_that_dvc_holds_by_a_symbolic_link_is_taken(folder, tmp_path):
    (tmp_path / ".dvc/cache").mkdir(parents=True)
    (folder / "wavs/a.wav").rename(tmp_path / ".dvc/cache/0f")
    (folder / "wavs/a.wav").symlink_to(tmp_path / ".dvc/cache/0f")
    assert locate(corpus(), "wavs/a.wav").read_bytes() == b"sound"


def test_the_corpus_itself_may_be_a_link_to_another_disk(folder, tmp_path):
    folder.rename(tmp_path / "disk")
    os.symlink(tmp_path / "disk", folder)
    assert locate(corpus(), "wavs/a.wav").read_bytes() == b"sound"


def test_an_absolute_path_needs_leave(folder):
    inside = str(folder / "wavs/a.wav")
    with pytest.raises(BadRow, match="absolute path without allow_absolute_paths: "):
        locate(corpus(), inside)
    assert locate(corpus(allow_absolute_paths=True), inside).read_bytes() == b"sound"
    with pytest.raises(BadRow, match="path out of the corpus"):
        locate(corpus(allow_absolute_paths=True), "../other.wav")


def test_a_name_that_no_file_can_have_is_refused_and_shown_in_part(folder):
    with pytest.raises(BadRow, match="longer than 255 bytes") as error:
        locate(corpus(), "ሀ" * 100_000)
    assert len(str(error.value)) < 300


TABLES = {"kaldi": ("wav.scp", "text", "utt2spk"), "kaldi_segments": ("segments",), "fleurs": ("train.tsv",),
          "common_voice": ("validated.tsv",), "ljspeech": ("metadata.csv",), "spreadsheet": ("recordings.csv",),
          "jsonl": ("manifest.jsonl",), "parquet": ("data/train-00000-of-00002.parquet",)}
EACH_TABLE = pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in TABLES for name in TABLES[kind]])


@pytest.fixture
def laid_out(tmp_path, monkeypatch, adapter):
    """Gives the adapter of a kind, its params and one of its tables."""
    def lay_out(kind, name):
        monkeypatch.chdir(tmp_path)
        params = WRITERS[kind](tmp_path, readings(4))
        return *adapter(params), tmp_path / params["path"] / name
    return lay_out


@EACH_TABLE
def test_a_table_that_is_a_link_out_of_the_corpus_is_not_read(laid_out, tmp_path, kind, name):
    module, source, table = laid_out(kind, name)
    table.rename(tmp_path / "secret")
    table.symlink_to(tmp_path / "secret")
    [problem] = module.problems(source)
    assert problem.endswith(f"symbolic link out of the corpus: {name}")
    with pytest.raises(UserError, match="symbolic link out of the corpus"):
        list(module.read(source))


@EACH_TABLE
def test_a_pipe_in_the_place_of_a_table_is_refused_and_nobody_waits_for_it(laid_out, kind, name):
    module, source, table = laid_out(kind, name)
    table.unlink()
    os.mkfifo(table)
    [problem] = module.problems(source)
    assert problem.endswith(f"{name}: must be a file, and no pipe or device")


@EACH_TABLE
def test_a_table_that_dvc_holds_by_a_link_is_read_and_so_is_a_corpus_on_another_disk(laid_out, tmp_path, kind, name):
    module, source, table = laid_out(kind, name)
    before = list(module.read(source))
    (tmp_path / ".dvc/cache").mkdir(parents=True)
    table.rename(tmp_path / ".dvc/cache/0f")
    table.symlink_to(tmp_path / ".dvc/cache/0f")
    folder = tmp_path / source.path
    folder.rename(tmp_path / "disk")
    folder.symlink_to(tmp_path / "disk")
    assert list(module.read(source)) == before and before
