"""Every adapter on a corpus as its tools write it: what was laid out comes back."""

from pathlib import Path

import pytest
import soundfile

from stages.core.errors import ParamsError, UserError
from stages.prepare_corpus.utterance import Embedded, Utterance
from tests.corpora import WRITERS, readings

CORPUS = readings(4)


@pytest.fixture(params=WRITERS)
def laid_out(request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return WRITERS[request.param](tmp_path, CORPUS)


def test_every_utterance_comes_back_with_its_text_speaker_and_place(adapter, laid_out):
    module, source = adapter(laid_out)
    found = list(module.read(source))
    assert all(isinstance(row, Utterance) for row in found), found
    assert sorted(row.text for row in found) == sorted(reading.text for reading in CORPUS)
    assert len({row.id for row in found}) == len(CORPUS) and {row.language for row in found} == {"am"}
    assert len({row.where for row in found}) == len(CORPUS)
    by_speaker = {}
    for row in found:
        by_speaker.setdefault(row.speaker, set()).add(row.text)
    groups = 4 if source.kind == "fleurs" else 2
    assert len(by_speaker) == groups and sum(len(texts) for texts in by_speaker.values()) == len(CORPUS)


def test_speech_is_where_the_utterance_says(adapter, laid_out):
    module, source = adapter(laid_out)
    lengths = {reading.text: [] for reading in CORPUS}
    for reading in CORPUS:
        lengths[reading.text].append(len(reading.samples()[0]) / reading.samples()[1])
    for row in module.read(source):
        if isinstance(row.speech, Embedded):
            assert row.speech.path.is_file() and row.speech.column == "audio" and row.speech.row < 5
            continue
        whole = soundfile.info(row.speech.path).duration
        end = whole if row.speech.end_seconds is None else row.speech.end_seconds
        assert end <= whole
        assert any(abs(end - row.speech.start_seconds - length) < 0.11 for length in lengths[row.text])


def test_rows_added_at_the_end_leave_the_old_ones_as_they_were(adapter, laid_out, tmp_path):
    module, source = adapter(laid_out)
    before = list(module.read(source))
    WRITERS[source.name](tmp_path, [*CORPUS, *readings(2, ("m6",))])
    after = list(module.read(source))
    if source.kind in ("fleurs", "parquet"):  # several tables: each of them grows
        before, after = (sorted(rows, key=lambda row: row.text + row.id) for rows in (before, after))
        assert {row.text for row in before} <= {row.text for row in after} and len(after) == len(before) + 2
    else:
        assert after[: len(before)] == before and len(after) == len(before) + 2


def test_a_missing_folder_is_one_clear_error_before_any_row(adapter, laid_out):
    Path(laid_out["path"]).rename("elsewhere")
    module, source = adapter(laid_out)
    with pytest.raises(UserError, match=f"{laid_out['path']}.*of kind {source.kind}") as error:
        next(iter(module.read(source)))
    assert module.problems(source) == str(error.value).splitlines()


def test_an_empty_table_is_refused_by_name(adapter, laid_out):
    for path in Path(laid_out["path"]).rglob("*"):
        if path.suffix in (".scp", ".tsv", ".csv", ".jsonl", ".parquet"):
            path.write_bytes(b"")
    module, source = adapter(laid_out)
    with pytest.raises(UserError, match=f"{laid_out['path']}.*"):
        list(module.read(source))


@pytest.mark.parametrize("wrong, named", [
    ({"path": "data/elsewhere/x"}, "path"), ({"path": "data/recordings/../../x"}, "path"),
    ({"path": "/data/recordings/x"}, "path"), ({"name": "Home Studio"}, "name"), ({"language": "amharic"}, "language"),
    ({"role": "both"}, "role"), ({"surprise": 1}, "surprise"),
])
def test_wrong_params_are_named(adapter, tmp_path, wrong, named):
    params = WRITERS["jsonl"](tmp_path, []) | wrong
    with pytest.raises(ParamsError, match=named):
        adapter(params)


@pytest.mark.parametrize("kind", ["ljspeech", "spreadsheet", "parquet"])
def test_the_speaker_is_told_in_one_way(adapter, tmp_path, kind):
    params = WRITERS[kind](tmp_path, CORPUS)
    for wrong in (params | {"speaker": "me"}, {**params, "speaker_column": None}):
        with pytest.raises(ParamsError, match="either speaker or speaker_column"):
            adapter(wrong)
    adapter({**params, "speaker_column": None, "speaker": "me"})
