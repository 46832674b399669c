"""Whatever bytes a table holds: each line gives one row or one reason, and nothing else is raised."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stages.core.errors import UserError
from stages.prepare_corpus.utterance import Utterance
from tests.corpora import WRITERS

CELL = st.sampled_from(
    ["a.wav", "b", "../c.wav", "/d.wav", "ሰላም ነው።", "7", "0.5", "nan", "MALE", '"', "", " ", "\ufeff", "|"])
MARKS = st.sampled_from(["|", "\t", ";", " ", ""])
TEXT = st.lists(st.tuples(CELL, MARKS)).map(lambda cells: "".join(map("".join, cells)))
FIELDS = st.sampled_from(["audio", "text", "speaker", "id", "start", "end", "duration", "language"])
SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | CELL | st.text(max_size=3)
OBJECT = st.dictionaries(FIELDS, SCALAR | st.lists(SCALAR, max_size=2)).map(json.dumps)
LINE = st.one_of(TEXT.map(str.encode), OBJECT.map(str.encode), st.binary(max_size=20))
ROWS = {"ljspeech": "metadata.csv", "jsonl": "manifest.jsonl", "fleurs": "train.tsv"}
HEADED = {"common_voice": "validated.tsv", "spreadsheet": "recordings.csv"}


def write(folder, name, lines):
    content = b"\n".join(line.replace(b"\n", b" ") for line in lines)
    (folder / name).write_bytes(content)
    return sum(bool(line.decode("utf-8", "replace").removeprefix("\ufeff").strip()) for line in content.split(b"\n"))


@pytest.fixture
def laid_out(folder, adapter):
    """Gives the adapter of a kind, its params and its folder."""
    def lay_out(kind):
        params = WRITERS[kind](folder.parents[2], [])
        return *adapter(params), Path(params["path"])
    return lay_out


ANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("kind", [*ROWS, *HEADED])
@ANY
@given(lines=st.lists(LINE, max_size=6))
def test_each_line_of_a_table_gives_a_row_or_a_reason(laid_out, kind, lines):
    module, source, folder = laid_out(kind)
    name = ROWS.get(kind) or HEADED[kind]
    header = [] if kind in ROWS else (folder / name).read_bytes().splitlines()[:1]
    if kind == "fleurs":
        (folder / "dev.tsv").write_bytes(b" \n")
    count = write(folder, name, [*header, *lines])
    try:
        rows = list(module.read(source))
    except UserError as error:
        assert name in str(error)
        return
    assert len(rows) == count - len(header)
    for row in rows:
        assert row.where.startswith(f"{name}:")
        if isinstance(row, Utterance):
            assert row.id.strip() and row.speaker.strip() and row.text.strip()
            assert not row.speech.path.is_absolute() and row.speech.path.is_relative_to(folder)
        else:
            assert row.reason and len(row.reason) < 1000
            (row.text + row.reason).encode()


@ANY
@given(tables=st.fixed_dictionaries(
    {name: st.lists(LINE, max_size=5) for name in ("wav.scp", "text", "utt2spk", "segments")}))
def test_kaldi_tables_never_break_and_name_no_line_twice(laid_out, tables):
    module, source, folder = laid_out("kaldi")
    for name, lines in tables.items():
        write(folder, name, [b"a a.wav 0 1", *lines])
    rows = list(module.read(source))
    named = [row.where for row in rows if not isinstance(row, Utterance) and not row.where.startswith("wav.scp")]
    assert len(named) == len(set(named))
    assert {row.id for row in rows if isinstance(row, Utterance)} <= {
        line.split()[0].decode("utf-8", "replace").strip("\ufeff") for line in
        (folder / "segments").read_bytes().split(b"\n") if line.split()}
