import json
from pathlib import Path

import pytest

from stages.core.errors import UserError
from stages.core.params.shared import SpeakerConfig
from stages.prepare_corpus.shards import Made, Shard, ShardStore, audio_hash
from stages.prepare_corpus.utterance import Embedded, Recording, Rejected, Synthesis, Utterance

SHARD = Shard(0, "key", "home", "target", 4)
SPEAKER = SpeakerConfig(variant="m1", pitch=40, pitch_range=50, rate_words_per_minute=150)
ROWS = [Utterance("home-1", "ሰላም", "am", "home-a", Recording(Path("1.wav"), 0.5), "list:1"),
        Rejected("list:2", "x", "no audio"),
        Utterance("home-3", "ሰላም", "am", "home-a", Embedded(Path("1.parquet"), 0, 7, "audio"), "1.parquet:7"),
        Utterance("home-4", "a", "en", "m1", Synthesis("a", "en", SPEAKER), "eng.txt:1", "a", "test")]
MADE = [Made("", "ሰላም", 1.25, audio_hash(b"audio")), Made("no audio")]


@pytest.fixture
def store(tmp_path):
    store = ShardStore(tmp_path / "prepare_corpus")
    with store.lock():
        yield store


def finish(store, shard=SHARD):
    with store.making(shard) as (folder, made):
        (folder / "000.flac").write_bytes(b"audio")
        made += MADE


def test_a_finished_shard_gives_back_rows_results_and_audio(store):
    store.add(SHARD, ROWS)
    assert not store.is_made(SHARD)
    finish(store)
    assert store.is_made(SHARD) and store.rows(SHARD) == ROWS and store.made(SHARD) == MADE
    assert store.audio(SHARD, 0).read_bytes() == b"audio"


def test_a_shard_that_was_not_finished_is_none_and_goes_with_the_lock(tmp_path):
    store = ShardStore(tmp_path / "prepare_corpus")
    with pytest.raises(OSError), store.lock(), store.making(SHARD) as (folder, _):
        (folder / "000.flac").write_bytes(b"half")
        raise OSError("no space")
    assert not store.is_made(SHARD) and list(store.root.iterdir()) == []


def test_a_shard_that_another_process_finished_first_stays(store):
    finish(store)
    finish(store)
    assert store.made(SHARD) == MADE


def test_only_the_shards_of_the_last_corpus_stay(store):
    other = Shard(1, "other", "home", "target", 2)
    store.add(SHARD, ROWS)
    finish(store)
    finish(store, other)
    store.keep_only([other])
    assert not store.is_made(SHARD) and store.is_made(other) and store.rows(SHARD) == ROWS


def test_a_folder_that_is_held_is_refused(store):
    with pytest.raises(UserError, match="another process prepares a corpus"), ShardStore(store.root).lock():
        pass


def edit(path):
    with open(path, "r+b") as file:
        file.write(b"A")


@pytest.mark.parametrize("damage", [lambda folder: edit(folder / "000.flac"),
                                    lambda folder: (folder / "000.flac").unlink(),
                                    lambda folder: (folder / "made.jsonl").write_text('{"reason": '),
                                    lambda folder: (folder / "made.jsonl").write_text("")],
                         ids=["audio edited", "audio gone", "results cut", "results empty"])
def test_a_damaged_shard_is_none_and_a_whole_one_stays(store, capsys, damage):
    damaged, whole = Shard(0, "key", "home", "target", 2), Shard(1, "other", "home", "target", 2)
    for shard in (damaged, whole):
        finish(store, shard)
    damage(store.root / damaged.key)
    store.drop_damaged([damaged, whole, damaged, Shard(2, "not made yet", "home", "target", 2)])
    assert not store.is_made(damaged) and store.is_made(whole)
    assert capsys.readouterr().err == f"{store.root / 'key'}: damaged; made again\n"


def test_results_are_lines_of_json(store):
    finish(store)
    lines = (store.root / "key/made.jsonl").read_text().splitlines()
    assert [json.loads(line)["reason"] for line in lines] == ["", "no audio"]
