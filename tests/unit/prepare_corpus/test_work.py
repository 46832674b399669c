import errno
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest
import yaml

from stages.core.artifacts.code import ROOT
from stages.core.errors import UserError
from stages.core.params.strict import load_section
from stages.core.text.config import standard_config
from stages.prepare_corpus import work
from stages.prepare_corpus.config import Config
from stages.prepare_corpus.shards import Made, Shard, ShardStore
from stages.prepare_corpus.utterance import Recording, Rejected, Utterance
from stages.prepare_corpus.work import Recipe, make_row, make_shard, make_shards, shard_key
from tests.corpora import readings, write_sound


@pytest.fixture(scope="module")
def recipe():
    return Recipe(load_section(Config, "prepare_corpus", ROOT / "params.yaml"), standard_config())


def row(path, text="ሰላም ነው።", speaker="a", where="list:1", identifier="1"):
    return Utterance(identifier, text, "am", speaker, Recording(path), where)


def test_a_key_changes_with_what_decides_and_with_nothing_else(tmp_path, recipe):
    path = tmp_path / "a.wav"
    path.write_bytes(b"one")

    def key(one=None, role="target", used=recipe):
        return shard_key([one or row(path)], role, used.fingerprint())

    def changed(**values):
        return Recipe(recipe.config.model_copy(update=values), recipe.text)

    same = [row(path, speaker="b"), row(path, where="list:2"), row(path, identifier="2")]
    assert {key(one) for one in same} == {key()}
    assert key(used=changed(characters_per_second_deviations_max=1.0, sources=[])) == key()
    text = Recipe(recipe.config, recipe.text.model_copy(update={"fold_homophones": False}))
    keys = [key(), key(row(path, "ሌላ")), key(role="base"), key(used=changed(loudness="rms")), key(used=text),
            key(Rejected("list:1", "ሰላም ነው።", "no audio"))]
    path.write_bytes(b"longer")
    keys.append(key())
    path.unlink()
    keys.append(key())
    assert len(set(keys)) == len(keys)


def test_a_row_is_made_or_says_why_not(tmp_path, recipe):
    [reading, *_] = readings(1)
    path = tmp_path / "a.wav"
    write_sound(path, reading)
    made = make_row(row(path, reading.text), "target", recipe, tmp_path / "a.flac")
    assert made.reason == "" and made.duration_seconds > 0.5 and (tmp_path / "a.flac").is_file()
    for bad, reason in ((row(path, "привет"), "outside the output alphabet"), (row(path, "all in Latin"), "script mix"),
                        (row(tmp_path / "b.wav"), "missing audio"), (Rejected("", "", "no audio: x"), "no audio")):
        made = make_row(bad, "target", recipe, tmp_path / "b.flac")
        assert made == Made(made.reason) and made.reason.startswith(reason) and not (tmp_path / "b.flac").exists()


def test_a_text_of_a_base_language_is_read_plainly(tmp_path, recipe):
    [reading, *_] = readings(1)
    write_sound(tmp_path / "a.wav", reading)
    made = make_row(row(tmp_path / "a.wav", "Grüße – an 2 alle!"), "base", recipe, tmp_path / "a.flac")
    assert made.text_normalised == "Grüße - an alle!"
    empty = make_row(row(tmp_path / "a.wav", "12 34"), "base", recipe, tmp_path / "b.flac")
    assert empty.reason == "nothing to speak"


def test_what_was_read_from_changed_recordings_is_not_kept(tmp_path, recipe):
    """Someone who puts the old recordings back, with their dates, would be given what was made of the others."""
    first, other, *_ = readings(2)
    path = tmp_path / "a.wav"
    write_sound(path, first)
    rows, store = [row(path, first.text)], ShardStore(tmp_path / "store")
    shard = Shard(0, shard_key(rows, "target", recipe.fingerprint()), "home", "target", 1)
    with store.lock():
        store.add(shard, rows)
        write_sound(path, other)
        with pytest.raises(UserError, match="home: recordings or code changed while they were read"):
            make_shard(shard, store, recipe)
        assert not store.is_made(shard)
        changed = replace(shard, key=shard_key(rows, "target", recipe.fingerprint()))
        assert make_shard(changed, store, recipe) > 0 and store.is_made(changed)


def test_a_full_disk_is_one_line_and_nothing_is_called_finished(tmp_path, recipe, monkeypatch):
    def no_space(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "shard/000.flac")

    @contextmanager
    def threads(processes):
        with ThreadPoolExecutor(processes) as pool:
            yield pool

    monkeypatch.setattr(work, "worker_pool", threads)
    monkeypatch.setattr(work, "make_row", no_space)
    store, shard = ShardStore(tmp_path), Shard(0, "key", "home", "target", 1)
    with store.lock():
        store.add(shard, [row(tmp_path / "a.wav")])
        with pytest.raises(UserError, match="shard/000.flac: cannot write: No space left on device"):
            make_shards([shard], store, recipe, 1)
        assert not store.is_made(shard)


def test_a_file_that_cannot_be_read_is_not_called_unwritable(tmp_path, recipe, monkeypatch):
    def unreadable(*_):
        raise PermissionError(errno.EACCES, "Permission denied", "data/recordings/a.wav")

    monkeypatch.setattr(work, "make_row", unreadable)
    monkeypatch.setattr(work, "worker_pool", ThreadPoolExecutor)
    store, shard = ShardStore(tmp_path), Shard(0, "key", "home", "target", 1)
    with store.lock(), pytest.raises(UserError, match="^data/recordings/a.wav: Permission denied; finished shards"):
        store.add(shard, [row(tmp_path / "a.wav")])
        make_shards([shard], store, recipe, 1)


def test_each_preset_says_every_value():
    """Each preset has every field of conditioning and gates; none has a default."""
    for name in ("miniature", "indextts2"):
        section = yaml.safe_load((ROOT / "presets" / f"{name}.yaml").read_text())["prepare_corpus"]
        assert set(section) == set(Config.model_fields)
