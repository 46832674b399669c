"""Recorded corpora in every layout: from files as their tools write them to a trained vocabulary, bad rows and all."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stages.__main__ import main
from stages.core.artifacts.files import read_jsonl
from stages.core.text.tokenizer import Tokenizer
from tests.corpora import WRITERS, Reading, readings, write_jsonl, write_sound
from tests.params_file import edit_params
from tests.tiny_project import make_project

CORPUS = readings(14)
MANIFEST, QUARANTINE = Path("data/corpus/manifest.jsonl"), Path("data/corpus/quarantine.jsonl")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    make_project(folder)
    return folder


@pytest.fixture
def project(tiny, tmp_path, monkeypatch):
    """A project without sources, which is the current folder."""
    folder = shutil.copytree(tiny, tmp_path / "project")
    monkeypatch.chdir(folder)
    return folder


def take(*sources):
    """Put sources into params.yaml in place of what stands there."""
    edit_params(Path(), lambda params: params["prepare_corpus"].update(sources=list(sources)))


@pytest.mark.parametrize("layout", WRITERS)
def test_a_corpus_in_this_layout_becomes_a_vocabulary(project, layout):
    take(WRITERS[layout](project, CORPUS))
    assert main(["prepare_corpus"]) == 0 and main(["train_vocabulary"]) == 0
    rows, lost = read_jsonl(MANIFEST), read_jsonl(QUARANTINE)
    assert len(rows) + len(lost) == len(CORPUS) and len(rows) >= len(CORPUS) - 2, lost
    assert {row["reason"].split(":")[0] for row in lost} <= {"only one utterance of the speaker"}
    assert {row["source"] for row in rows} == {layout} and {row["split"] for row in rows} >= {"train", "test"}
    for row in rows:
        assert row["id"].startswith(f"{layout}-") and row["speaker"].startswith(f"{layout}-")
        assert seconds_of(Path("data/corpus", row["audio"])) == pytest.approx(row["duration_seconds"], abs=1e-3)
        spoken = [len(samples) / rate for samples, rate in
                  (reading.samples() for reading in CORPUS if reading.text == row["text"])]
        assert any(abs(row["duration_seconds"] - length) < 0.11 for length in spoken)
    vocabulary = Tokenizer(Path("data/vocabulary/bpe.model"))
    assert all(vocabulary.unknown_id not in vocabulary.encode(row["text_normalised"]) for row in rows)


def test_all_that_keeps_the_sources_from_being_read_is_told_at_once_and_before_any_work(project, capsys):
    first, second = WRITERS["kaldi"](project, CORPUS[:1]), WRITERS["common_voice"](project, CORPUS[:1])
    take(first, second, {**WRITERS["jsonl"](project, CORPUS[:1]), "name": "third", "path": "data/recordings/elsewhere"})
    for name in ("kaldi/text", "kaldi/utt2spk"):
        Path("data/recordings", name).unlink()
    Path("data/recordings/common_voice/validated.tsv").write_text("client_id\tsentence\n")
    assert main(["prepare_corpus"]) == 2
    missing = "needs this file: No such file or directory"
    assert capsys.readouterr().err.splitlines() == [
        f"error: data/recordings/kaldi/text: a source of kind kaldi {missing}",
        f"data/recordings/kaldi/utt2spk: a source of kind kaldi {missing}",
        "data/recordings/common_voice/validated.tsv: must have one column 'path' (got client_id, sentence)",
        f"data/recordings/elsewhere/manifest.jsonl: a source of kind jsonl {missing}",
    ]
    assert not Path("data/corpus").exists()


def seconds_of(path):
    return soundfile.info(path).duration


def write_bad_sounds(folder):
    """Audio files that cannot be used, and odd ones that can."""
    [reading, *_] = CORPUS
    samples, rate = reading.samples()
    write_sound(folder / "whole.wav", reading)
    content = (folder / "whole.wav").read_bytes()
    (folder / "truncated.wav").write_bytes(content[: len(content) // 2])
    (folder / "zero_bytes.wav").write_bytes(b"")
    soundfile.write(folder / "zero_samples.wav", samples[:0], rate)
    (folder / "zero_hz.wav").write_bytes(content[:24] + bytes(4) + content[28:])
    (folder / "words.wav").write_text("this is no audio\n" * 100)
    broken = samples.copy()
    broken[len(broken) // 2] = np.nan
    soundfile.write(folder / "nan.wav", broken, rate, subtype="FLOAT")
    soundfile.write(folder / "silent.wav", np.zeros(rate, np.float32), rate)
    soundfile.write(folder / "short.wav", samples[: rate // 10], rate)
    soundfile.write(folder / "clipped.wav", np.clip(samples * 100, -1, 1), rate)
    soundfile.write(folder / "stereo.wav", np.stack([samples, samples / 2], 1), rate)
    soundfile.write(folder / "six_channels.wav", np.stack([samples] * 6, 1) * 0.9, rate)
    soundfile.write(folder / "192_khz.wav", np.repeat(samples, 192_000 // rate), 192_000)
    for name, variant in (("wrong_suffix", "m4"), ("mismatch", "m6"), ("alone", "f1")):
        write_sound(folder / f"{name}.ogg", Reading(name, reading.text, variant))
    (folder / "wrong_suffix.ogg").rename(folder / "wrong_suffix.wav")
    (folder / "folder.wav").mkdir()
    write_sound(folder.parent / "outside.wav", reading)
    (folder / "link.wav").symlink_to(folder.parent / "outside.wav")


def bad_lines(folder):
    """Lines of a manifest, each with the kind of fault that it is to be quarantined with, or none."""
    def row(audio, text="ይህ ሌላ ነገር ነው።", **more):
        return json.dumps({"audio": audio, "text": text, "speaker": "m2", **more}, ensure_ascii=False).encode()

    odd = {"stereo": "ሌላ", "six_channels": "ይህ", "192_khz": "ጎረቤት", "wrong_suffix": "ደራሲ"}
    return [
        *((row(f"{name}.wav", f"{word} ሰው በመብትም እኩል ነው።"), "") for name, word in odd.items()),
        *((row(f"{name}.wav", "ይህ ሌላ ነገር ነው።", id=name), kind) for name, kind in {
            "truncated": "truncated", "zero_bytes": "unreadable audio", "zero_samples": "empty audio",
            "zero_hz": "unreadable audio", "words": "unreadable audio", "nan": "samples that are no numbers",
            "silent": "silent", "short": "too short", "clipped": "clipped", "folder": "missing audio",
            "missing": "missing audio", "../outside": "path out of the corpus",
            "link": "symbolic link out of the corpus",
        }.items()),
        (row(str(folder / "whole.wav")), "absolute path without allow_absolute_paths"),
        (row("whole.wav", "ይህ ነው።", id="m2/m2_000"), "duplicate id"),
        (row("m2/m2_002.ogg", "ይህ ነው።", id="again"), "duplicate audio"),
        (row("whole.wav", CORPUS[3].text, id="text again"), "duplicate text of the speaker"),
        (row("whole.wav", "Только по-русски", id="script"), "outside the output alphabet"),
        (row("whole.wav", "This is all in English", id="latin"), "script mix"),
        (row("whole.wav", "", id="no text"), "no text"), (row("whole.wav", "። ፣", id="marks"), "nothing to speak"),
        (row("mismatch.ogg", "ነው።"), "characters a second"),
        (row("alone.ogg", "ብቻ ሰው በመብትም እኩል ነው።", speaker="alone"), "only one utterance of the speaker"),
        (b'{"audio": "whole.wav", "text": "\xff\xfe", "speaker": "m2"}', "not UTF-8"),
        (b'{"audio": "whole.wav", "text": "\0", "speaker": "m2"}', "NUL character"),
        (b'{"audio": "whole.wav"', "not JSON"), (b"x" * 100_000_000, "line too long"),
    ]


def test_every_bad_row_is_named_once_and_every_good_one_survives(project):
    source = write_jsonl(project, CORPUS, "home")
    folder = project / "data/recordings/home"
    write_bad_sounds(folder)
    bad, manifest = bad_lines(folder), folder / "manifest.jsonl"
    good = manifest.read_bytes().replace(b"\n", b"\r\n")
    manifest.write_bytes(b"\xef\xbb\xbf" + good + b"\r\n".join(line for line, _ in bad))
    take(source)
    assert main(["prepare_corpus"]) == 0
    kept, lost = read_jsonl(MANIFEST), read_jsonl(QUARANTINE)
    found = {int(row["where"].split(":")[1]): row["reason"] for row in lost}
    assert len(found) == len(lost), "a row was named twice"
    expected = {len(CORPUS) + number: kind for number, (_, kind) in enumerate(bad, 1) if kind}
    assert {number: reason.split(":")[0] for number, reason in found.items()} == expected
    assert len(kept) == len(CORPUS) + sum(not kind for _, kind in bad)
    assert all(row["source"] == "home" and len(row["reason"]) < 400 for row in lost)
    assert main(["train_vocabulary"]) == 0
