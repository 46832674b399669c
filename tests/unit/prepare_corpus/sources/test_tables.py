"""Rows of tables with columns: FLEURS, Common Voice, LJSpeech, spreadsheets."""

import pytest

from stages.core.errors import UserError
from tests.corpora import write_lines

FLEURS_ROW = "{number}\t{file}\tእሱ \"ሰላም\" ነው።\tእሱ ሰላም ነው\tእ ሱ\t16000\t{gender}"
SPREADSHEET = {"table": "t.csv", "delimiter": "comma", "audio_column": "file", "text_column": "text",
               "speaker_column": "who"}


def reasons(rejected):
    return [(where, reason.split(":")[0]) for where, reason in rejected]


def test_fleurs_rows_of_one_sentence_are_other_voices_and_tables_are_other_speakers(folder, read):
    rows = [(7, "1.wav", "MALE"), (7, "2.wav", "MALE"), (7, "3.wav", "FEMALE"), (8, "4.wav", "MALE")]
    lines = [FLEURS_ROW.format(number=number, file=file, gender=gender) for number, file, gender in rows]
    write_lines(folder / "train.tsv", lines)
    write_lines(folder / "dev.tsv", lines[:1])
    good, rejected = read("fleurs", tables=["train", "dev"])
    assert [row.speaker for row in good] == [
        "train-male-1", "train-male-2", "train-female-1", "train-male-1", "dev-male-1"]
    assert [row.id for row in good] == ["train-1", "train-2", "train-3", "train-4", "dev-1"]
    assert str(good[-1].speech.path) == "data/recordings/home/audio/dev/1.wav" and good[0].text == 'እሱ "ሰላም" ነው።'
    assert rejected == []


def test_fleurs_rows_that_are_short_or_lead_elsewhere_are_named(folder, read):
    write_lines(folder / "train.tsv", [
        "7\t1.wav\tሰላም", FLEURS_ROW.format(number=1, file="../../../b.wav", gender="MALE"),
        FLEURS_ROW.format(number=1, file="/b.wav", gender="MALE"), FLEURS_ROW.format(number=1, file="", gender="MALE"),
        FLEURS_ROW.format(number=1, file="c.wav", gender="MALE"),
    ])
    good, rejected = read("fleurs", tables=["train"])
    assert [row.id for row in good] == ["train-c"]
    assert reasons(rejected) == [
        ("train.tsv:1", "wrong number of columns"), ("train.tsv:2", "path out of the corpus"),
        ("train.tsv:3", "absolute path without allow_absolute_paths"), ("train.tsv:4", "no file name")]


@pytest.mark.parametrize("header", ["client_id\tpath\tsentence", "path\tsentence_id\tsentence\tclient_id\tsegment"])
def test_common_voice_columns_are_found_by_name(folder, read, header):
    row = {"client_id": "abc", "path": "1.mp3", "sentence": 'እሱ "ሰላም ነው', "sentence_id": "9", "segment": ""}
    write_lines(folder / "train.tsv", [header, "\t".join(row[name] for name in header.split("\t"))])
    [good], rejected = read("common_voice", table="train.tsv")
    assert (good.id, good.speaker, good.text, good.speech.path.as_posix()) == (
        "1", "abc", 'እሱ "ሰላም ነው', "data/recordings/home/clips/1.mp3")
    assert rejected == []


def test_common_voice_names_the_columns_it_misses_and_the_rows_that_are_short(folder, read):
    write_lines(folder / "t.tsv", ["client_id\tclip\ttext", "a\tb\tc"])
    with pytest.raises(UserError) as error:
        read("common_voice", table="t.tsv")
    assert str(error.value).splitlines() == [
        f"data/recordings/home/t.tsv: must have one column {name!r} (got client_id, clip, text)"
        for name in ("path", "sentence")]
    rows = ["a\t1.mp3", "a\t2.mp3\tሰላም", "\t3.mp3\tሰላም", "a\t\tሰላም"]
    write_lines(folder / "t.tsv", ["client_id\tpath\tsentence", *rows])
    good, rejected = read("common_voice", table="t.tsv")
    assert [row.id for row in good] == ["2"]
    assert reasons(rejected) == [("t.tsv:2", "wrong number of columns"), ("t.tsv:4", "no speaker"),
                                 ("t.tsv:5", "no file name")]


def test_ljspeech_ids_may_be_file_names_and_the_text_as_written_is_taken(folder, read):
    write_lines(folder / "metadata.csv", ["a|2 ሰዎች|ሁለት ሰዎች", "b.flac|ሰላም", "c|\"ሰላም"])
    good, rejected = read("ljspeech", speaker="me")
    assert [(row.speech.path.name, row.text, row.speaker) for row in good] == [
        ("a.wav", "2 ሰዎች", "me"), ("b.flac", "ሰላም", "me"), ("c.wav", "\"ሰላም", "me")]
    assert rejected == []


def test_ljspeech_rows_without_the_column_of_the_speaker_are_named(folder, read):
    write_lines(folder / "metadata.csv", ["a|ሰላም|ሰላም|one", "b|ሰላም|ሰላም", "c|ሰላም|ሰላም|"])
    good, rejected = read("ljspeech", speaker_column=4)
    assert [row.speaker for row in good] == ["one"]
    assert reasons(rejected) == [("metadata.csv:2", "wrong number of columns"), ("metadata.csv:3", "no speaker")]


def test_a_spreadsheet_is_read_as_it_is_saved(folder, read):
    rows = ["who,file,text", '" one ",a.wav,"እሱ, ""ሰላም"" ነው"', "two,sub/b.wav,ሰላም", ""]
    (folder / "t.csv").write_text("\r\n".join(rows), encoding="utf-8-sig", newline="")
    good, rejected = read("spreadsheet", **SPREADSHEET)
    assert [(row.id, row.speaker, row.text, row.where) for row in good] == [
        ("a", "one", 'እሱ, "ሰላም" ነው', "t.csv:2"), ("sub/b", "two", "ሰላም", "t.csv:3")]
    assert rejected == []


def test_spreadsheet_rows_that_cannot_be_read_are_named(folder, read):
    lines = ["file,text,who", 'a.wav,"ሰላም', 'ነው",one', "b.wav,ሰላም,one", "c.wav,one", "d.wav,ሰላም,"]
    write_lines(folder / "t.csv", lines)
    good, rejected = read("spreadsheet", **SPREADSHEET)
    assert [row.id for row in good] == ["b"]
    assert reasons(rejected) == [("t.csv:2", "no row of a CSV file"), ("t.csv:3", "wrong number of columns"),
                                 ("t.csv:5", "wrong number of columns"), ("t.csv:6", "no speaker")]


@pytest.mark.parametrize("first, named", [
    ("file;text;who", "must have one column 'file'"), ("file,text,text,who", "must have one column 'text'"),
    ('"file,text', "its first line must name the columns"),
])
def test_a_spreadsheet_without_its_columns_is_one_clear_error(folder, read, first, named):
    write_lines(folder / "t.csv", [first, "a.wav,ሰላም,one"])
    with pytest.raises(UserError, match=f"t.csv: {named}"):
        read("spreadsheet", **SPREADSHEET)
