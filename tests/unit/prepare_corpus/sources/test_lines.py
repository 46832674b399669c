"""Text files as users have them: one bad line costs that line, by name, and nothing else."""

import os
import tracemalloc

import pytest

from stages.core.errors import UserError
from stages.prepare_corpus.sources import jsonl, ljspeech
from stages.prepare_corpus.sources.lines import LINE_BYTES_MAX, read_lines


@pytest.fixture
def source(folder):
    return ljspeech.LjspeechSource(kind="ljspeech", name="home", role="target", language="am",
                                   path="data/recordings/home", speaker="me")


def rows_of(content, folder, read):
    (folder / "metadata.csv").write_bytes(content)
    good, rejected = read("ljspeech", speaker="me")
    return [(row.id, row.text) for row in good], rejected


GOOD = "a|ሰላም ነው|\nb|ደህና ነው|\n".encode()
ROWS = [("a", "ሰላም ነው"), ("b", "ደህና ነው")]


@pytest.mark.parametrize("content", [
    GOOD, b"\xef\xbb\xbf" + GOOD, GOOD.replace(b"\n", b"\r\n"), GOOD.rstrip(b"\n"), GOOD.replace(b"\n", b"\n\r\n \n"),
    GOOD.replace(b"b|", b"\xef\xbb\xbfb|"),
], ids=["plain", "bom", "crlf", "no last line end", "blank lines", "bom inside"])
def test_lines_are_read_whatever_they_begin_and_end_with(folder, read, content):
    assert rows_of(content, folder, read) == (ROWS, [])


@pytest.mark.parametrize("bad, reason", [
    (b"x|\xe1\x88\xff\n", "not UTF-8: byte 3 of the line"),
    (b"x|one\0two|\n", "NUL character: at 6 of the line"),
    (b"x\n", "wrong number of columns: must be 2 or more, parted by |, got 1"),
    (b"|text\n", "no id"), (b"x||normalised\n", "no text"),
    (b"x|" + b"y" * LINE_BYTES_MAX + b"\n", f"line too long: more than {LINE_BYTES_MAX} bytes"),
], ids=["not utf-8", "nul", "columns", "id", "text", "long"])
def test_a_bad_line_is_named_once_and_the_rest_goes_on(folder, read, bad, reason):
    first, second = GOOD.splitlines(keepends=True)
    good, rejected = rows_of(first + bad + second, folder, read)
    assert good == ROWS
    assert rejected == [("metadata.csv:2", reason)]


def test_the_last_line_may_be_as_long_as_allowed_and_no_longer(folder, read):
    fits = b"c|" + b"y" * (LINE_BYTES_MAX - 2)
    assert len(rows_of(GOOD + fits, folder, read)[0]) == 3
    assert [where for where, _ in rows_of(GOOD + fits + b"y", folder, read)[1]] == ["metadata.csv:3"]


def test_a_line_of_100_megabytes_does_not_fill_the_memory(source, folder):
    with open(folder / "metadata.csv", "wb") as file:
        file.write(b"a|" + GOOD[:2])
        for _ in range(100):
            file.write(b"x" * 1_000_000)
        file.write(b"\n" + GOOD)
    tracemalloc.start()
    lines = list(read_lines(source, "metadata.csv"))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [bool(line.problem) for line in lines] == [True, False, False]
    assert len(lines[0].text) <= 200 and lines[1].where == "metadata.csv:2"
    assert peak_bytes < 10 * LINE_BYTES_MAX


def test_rows_stream(source, folder):
    path = folder / "metadata.csv"
    path.write_text("".join(f"{number}|ሰላም\n" for number in range(40_000)))
    rows = ljspeech.read(source)
    assert next(rows).id == "0"
    os.truncate(path, path.stat().st_size // 2)
    assert 10_000 < sum(1 for _ in rows) < 30_000, "the file was read ahead"


def test_a_file_in_utf_16_is_one_clear_error(source, folder):
    (folder / "metadata.csv").write_bytes("a|ሰላም\n".encode("utf-16"))
    with pytest.raises(UserError, match=r"metadata.csv: must be UTF-8 \(got UTF-16\)"):
        list(ljspeech.read(source))


def test_a_folder_in_the_place_of_a_table_is_one_clear_error(source, folder):
    (folder / "metadata.csv").mkdir()
    with pytest.raises(UserError, match="metadata.csv: a source of kind ljspeech needs this file: Is a directory"):
        list(ljspeech.read(source))


def test_characters_that_no_file_can_hold_are_refused(folder):
    rows = [
        r'{"audio": "a\u0000.wav", "text": "t", "speaker": "s"}',
        r'{"audio": "a.wav", "text": "\ud800", "speaker": "s"}',
        r'{"audio": "a.wav", "text": "t", "speaker": "\u0000"}',
        r'{"audio": "a.wav", "text": "t", "speaker": "s"}',
    ]
    (folder / "m.jsonl").write_text("\n".join(rows))
    source = jsonl.JsonlSource(kind="jsonl", name="home", role="target", language="am", path="data/recordings/home",
                               manifest="m.jsonl")
    *bad, good = jsonl.read(source)
    assert [row.reason.split(":")[0] for row in bad] == [
        f"{field} that no file can hold" for field in ("audio path", "text", "speaker")]
    assert good.id == "a"
    for row in bad:
        (row.text + row.reason).encode()
