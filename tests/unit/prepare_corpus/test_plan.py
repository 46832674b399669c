import json
from pathlib import Path

import pytest
import soundfile
import yaml

from stages.core.errors import ParamsError, UserError
from stages.prepare_corpus.__main__ import main
from tests.tiny_project import WORDS

TEXT = "\n".join(f"{word} ሰው በመብትም እኩልነት ያለው ነው።" for word in WORDS)
TEXTS = Path("data/text/mine.txt")


@pytest.fixture
def project(tmp_path, monkeypatch):
    params = yaml.safe_load(Path("params.yaml").read_text())
    source = params["prepare_corpus"]["sources"][0]
    source["languages"] = {"am": {"voice": "am", "text": "data/text/mine.txt"}}
    source |= {"speakers": source["speakers"][:2], "shuffled_readings": 0, "invented_readings": 0}
    params["prepare_corpus"]["sources"] = [source]
    params["splits"] = {"seed": 1, "validation_share": 0.2, "test_share": 0.2, "test_speakers_share": 0.0}
    monkeypatch.chdir(tmp_path)
    TEXTS.parent.mkdir(parents=True)
    TEXTS.write_text(TEXT + "\n" + TEXT.splitlines()[0])
    Path("params.yaml").write_text(yaml.safe_dump(params, allow_unicode=True))
    return params


def manifest():
    return [json.loads(line) for line in Path("data/corpus/manifest.jsonl").read_text().splitlines()]


def test_every_text_is_spoken_once_by_every_speaker_and_stands_in_one_split(project):
    assert main([]) == 0
    rows = manifest()
    assert len(rows) == 14 * 2 and {row["split"] for row in rows} == {"train", "validation", "test"}
    by_text = {}
    for row in rows:
        by_text.setdefault(row["text_normalised"], set()).add(row["split"])
        info = soundfile.info(Path("data/corpus") / row["audio"])
        assert (info.samplerate, info.channels) == (16000, 1)
        assert info.duration == pytest.approx(row["duration_seconds"], abs=0.001)
        assert "።" in row["text"] and row["text_normalised"].endswith(".")
    assert all(len(splits) == 1 for splits in by_text.values())


def test_shuffled_readings_are_training_words_only(project):
    project["prepare_corpus"]["sources"][0]["shuffled_readings"] = 2
    Path("params.yaml").write_text(yaml.safe_dump(project, allow_unicode=True))
    main([])
    rows = manifest()
    written = {row["text_normalised"] for row in rows if "።" in row["text"]}
    shuffled = [row for row in rows if row["text_normalised"] not in written]
    assert shuffled and {row["split"] for row in shuffled} == {"train"}
    assert len({row["text_normalised"] for row in shuffled}) > len(shuffled) / 2, "each speaker has an order of its own"
    training = {word.strip(".") for row in rows if row["split"] == "train" for word in row["text_normalised"].split()}
    assert {word for row in shuffled for word in row["text_normalised"].split()} <= training


def test_invented_readings_are_training_rows_in_the_letters_of_the_training_words(project):
    project["prepare_corpus"]["sources"][0]["invented_readings"] = 1
    Path("params.yaml").write_text(yaml.safe_dump(project, allow_unicode=True))
    main([])
    rows = manifest()
    invented = [row for row in rows if "።" not in row["text"]]
    assert invented and {row["split"] for row in invented} == {"train"}
    letters = {letter for row in rows if "።" in row["text"] for letter in row["text_normalised"]}
    assert {letter for row in invented for letter in row["text_normalised"]} <= letters


def test_growth_moves_no_text_between_splits(project):
    main([])
    before = {row["text_normalised"]: row["split"] for row in manifest()}
    TEXTS.write_text("አዲስ ሰው መጣ።\n" + TEXT)
    main([])
    after = {row["text_normalised"]: row["split"] for row in manifest()}
    assert before.items() <= after.items() and len(after) == len(before) + 1


def test_what_cannot_be_used_is_quarantined_with_its_reason(project):
    TEXTS.write_text(TEXT + "\nпривет мир\n")
    main([])
    [row] = [json.loads(line) for line in Path("data/corpus/quarantine.jsonl").read_text().splitlines()]
    assert "привет" in row["text"] and row["reason"]


@pytest.mark.parametrize("break_it, named", [
    (lambda: TEXTS.unlink(), "mine.txt"),
    (lambda: TEXTS.write_bytes(b"\xff\xfe\xff"), "UTF-8"),
    (lambda: TEXTS.write_text(""), "no test and no train"),
])
def test_bad_input_is_one_error_and_leaves_nothing_behind(project, break_it, named):
    break_it()
    with pytest.raises(UserError, match=named):
        main([])
    assert {path.name for path in Path("data").iterdir()} == {"text"}


def test_training_spans_are_thinned_evenly_and_held_out_ones_stay(project):
    main([])
    before = manifest()
    project["prepare_corpus"]["sources"][0]["training_spans_max"] = 3
    Path("params.yaml").write_text(yaml.safe_dump(project, allow_unicode=True))
    main([])
    after = manifest()

    def texts(rows, *splits):
        return [row["text_normalised"] for row in rows if row["split"] in splits and row["speaker"] == "am-m2"]

    assert texts(after, "validation", "test") == texts(before, "validation", "test")
    kept, training = texts(after, "train"), texts(before, "train")
    assert len(kept) == 3 and set(kept) <= set(training) and training.index(kept[-1]) >= len(training) // 2


def test_a_speaker_who_would_read_a_language_twice_is_refused(project):
    [source] = project["prepare_corpus"]["sources"]
    Path("params.yaml").write_text(yaml.safe_dump(
        project | {"prepare_corpus": project["prepare_corpus"] | {"sources": [source, source | {"name": "again"}]}},
        allow_unicode=True))
    with pytest.raises(ParamsError, match="twice: am-m2, am-m4"):
        main([])
