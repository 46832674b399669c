import json

import pytest

from tests.corpora import write_lines

ROW = {"audio": "a.wav", "text": "ሰላም ነው", "speaker": "one"}


def write(folder, *rows):
    write_lines(folder / "m.jsonl", [row if isinstance(row, str) else json.dumps(row) for row in rows])


def test_what_a_row_does_not_tell_is_filled_in(folder, read):
    write(folder, ROW, {"audio": "sub/b.ogg", "text": "ሰላም", "id": 17, "language": "ti", "speaker": 3, "other": []},
          {"audio": "c.wav", "text": "ሰላም", "speaker": None})
    good, rejected = read("jsonl", manifest="m.jsonl", speaker="me")
    assert [(row.id, row.language, row.speaker) for row in good] == [
        ("a", "am", "one"), ("17", "ti", "3"), ("c", "am", "me")]
    assert all(row.speech.end_seconds is None for row in good) and rejected == []


def test_parts_of_a_file_are_told_by_start_and_end_or_duration(folder, read):
    write(folder, ROW | {"start": 0, "end": 1.5}, ROW | {"start": 1.5, "duration": 2}, ROW | {"start": 4.25},
          ROW | {"duration": 2.0, "id": "whole"})
    good, rejected = read("jsonl", manifest="m.jsonl")
    assert [(row.id, row.speech.start_seconds, row.speech.end_seconds) for row in good] == [
        ("a@0.000", 0.0, 1.5), ("a@1.500", 1.5, 3.5), ("a@4.250", 4.25, None), ("whole", 0.0, None)]
    assert rejected == []


@pytest.mark.parametrize("bad, reason", [
    ("{", "not JSON"), ("[1]", "not JSON"), ("[" * 100_000, "not JSON"), ("", None), ({}, "no audio path"),
    ({"audio": "a.wav", "speaker": "s"}, "no text"), ({"audio": "a.wav", "text": "t"}, "no speaker"),
    (ROW | {"id": ""}, "no id"), (ROW | {"text": ["t"]}, "text of a wrong type"),
    (ROW | {"audio": True}, "audio of a wrong type"),
    (ROW | {"start": -1}, "start out of range"), (ROW | {"start": "0"}, "start out of range"),
    (ROW | {"end": float("nan")}, "end out of range"),
    ('{"audio": "a", "start": 1' + "0" * 400 + "}", "start out of range"),
    ('{"audio": "a", "start": 1' + "0" * 5000 + "}", "not JSON"), (ROW | {"start": 2, "end": 1}, "end before start"),
    (ROW | {"end": 0}, "end before start"), (ROW | {"language": "Amharic"}, "unknown language"),
    (ROW | {"language": 1}, "unknown language"), (ROW | {"audio": "../a.wav"}, "path out of the corpus"),
])
def test_a_bad_row_is_named_and_the_rest_goes_on(folder, read, bad, reason):
    write(folder, ROW | {"id": "first"}, bad, ROW | {"id": "last"})
    good, rejected = read("jsonl", manifest="m.jsonl")
    assert [row.id for row in good] == ["first", "last"]
    assert [(where, told.split(":")[0]) for where, told in rejected] == ([("m.jsonl:2", reason)] if reason else [])
    assert all(len(told) < 400 for _, told in rejected)


@pytest.mark.parametrize("character", ["\n", "\x1b", "\x7f", "\x85", "\u2028", "\u202e", "\u2066", "\u200f"])
@pytest.mark.parametrize("field", ["id", "speaker", "audio"])
def test_an_id_or_a_speaker_that_a_console_cannot_show_as_it_stands_is_left_out(folder, read, field, character):
    write(folder, ROW | {field: f"a{character}b.wav"}, ROW | {"id": " b\n"})
    good, [(where, reason)] = read("jsonl", manifest="m.jsonl")
    name = "speaker" if field == "speaker" else "id"
    assert (where, reason) == (
        "m.jsonl:1", f"{name} with a character that no console shows: U+{ord(character):04X}")
    assert [row.id for row in good] == ["b"]
