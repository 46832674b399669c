from pathlib import Path

import pytest

from stages.core.params.shared import SplitsConfig
from stages.core.text.config import standard_config
from stages.prepare_corpus import reading
from stages.prepare_corpus.reading import SHARD_ROWS_MAX, cut_shards, read_rows
from stages.prepare_corpus.sources.jsonl import JsonlSource
from stages.prepare_corpus.utterance import Recording, Rejected, Utterance

SPLITS = SplitsConfig(seed=1, validation_share=0.2, test_share=0.2, test_speakers_share=0.0)
HOME = JsonlSource(kind="jsonl", name="home", role="target", language="am", path="data/recordings/home",
                   manifest="manifest.jsonl")


def utterance(identifier, speaker="a"):
    return Utterance(identifier, "ሰላም", "am", speaker, Recording(Path(f"{identifier}.wav")), f"list:{identifier}")


def read(rows, monkeypatch, source=HOME):
    monkeypatch.setattr(reading, "read_source", lambda *_: iter(rows))
    return list(read_rows(source, standard_config(), SPLITS))


def test_ids_and_speakers_bear_the_name_of_their_source(monkeypatch):
    [row] = read([utterance("wav/1", "m")], monkeypatch)
    assert (row.id, row.speaker) == ("home-wav/1", "home-m")


def test_the_second_of_two_equal_ids_is_rejected_where_it_stands(monkeypatch):
    rows = read([utterance("one"), utterance("two"), utterance("one", "b")], monkeypatch)
    assert [type(row) for row in rows] == [Utterance, Utterance, Rejected]
    assert rows[2].reason == "duplicate id: one" and rows[2].where == "list:one"


def test_what_an_adapter_rejects_passes_in_its_place(monkeypatch):
    bad = Rejected("list:2", "x", "no audio")
    assert read([utterance("one"), bad, utterance("two")], monkeypatch)[1] is bad


@pytest.mark.parametrize("count", [0, 1, SHARD_ROWS_MAX, 3 * SHARD_ROWS_MAX + 1])
def test_shards_hold_every_row_once_in_order_and_none_is_too_long(count):
    rows = [utterance(str(number)) for number in range(count)]
    shards = list(cut_shards(rows))
    assert [row for shard in shards for row in shard] == rows
    assert all(0 < len(shard) <= SHARD_ROWS_MAX for shard in shards)


def test_rows_without_an_id_do_not_close_a_shard_but_it_ends_at_its_most():
    rows = [Rejected(f"list:{number}", "", "no audio") for number in range(SHARD_ROWS_MAX + 1)]
    assert [len(shard) for shard in cut_shards(rows)] == [SHARD_ROWS_MAX, 1]


@pytest.mark.parametrize("place", [0, 900, 2000])
def test_a_row_put_anywhere_changes_the_shards_around_it_only(place):
    rows = [utterance(str(number)) for number in range(2000)]
    before = {tuple(row.id for row in shard) for shard in cut_shards(rows)}
    after = {tuple(row.id for row in shard) for shard in cut_shards([*rows[:place], utterance("new"), *rows[place:]])}
    assert len(before) > 8 and len(after - before) <= 2 and len(before - after) <= 2
