import json
import math
import shutil

import numpy as np
import pytest
import soundfile
import torch
import yaml

from stages.core.params.command import run_command
from stages.core.speaking import voices
from stages.evaluate_speech import speak
from tests.tiny_export import make_export
from tests.tiny_project import tiny_params

TEXT = "ሰላም ነው። 25% ነው።"


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    return make_export(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def folder(export, tmp_path, monkeypatch):
    """A folder with params.yaml and a prompt, to work in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(tiny_params(), allow_unicode=True))
    write_tone("voice.wav", 1.5)
    return tmp_path


def write_tone(path, seconds, level=0.3):
    times = np.arange(int(16000 * seconds)) / 16000
    soundfile.write(path, level * np.sin(2 * math.pi * 220 * times) * (1 + np.sin(2 * math.pi * 3 * times)), 16000)


def run(export, *options, prompt="voice.wav"):
    voice = ["--prompt", prompt] if prompt else []
    return run_command(lambda: speak.main(["--model", str(export), *voice, *map(str, options)]))


def test_a_text_becomes_an_audio_file_that_is_not_silent(export, folder, capsys):
    assert run(export, "--text", TEXT, "--out", "deep/out.wav") == 0
    samples, rate = soundfile.read("deep/out.wav")
    assert rate == 16000 and np.abs(samples).max() > 0.001
    said = capsys.readouterr().out
    assert said.startswith(f"deep/out.wav: {len(samples) / rate:.2f} s in 2 span(s)")
    assert [path.name for path in (folder / "deep").iterdir()] == ["out.wav"]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(export, folder):
    for name, seed in (("one", 3), ("two", 3), ("three", 4)):
        assert run(export, "--text", TEXT, "--out", f"{name}.wav", "--seed", seed, "--temperature", 1.0) == 0
    one, two, three = ((folder / f"{name}.wav").read_bytes() for name in ("one", "two", "three"))
    assert one == two != three


def test_spans_that_no_stop_token_ended_and_empty_ones_are_told(export, folder, capsys, monkeypatch):
    for codes, stopped, told in ((4, False, "2 did not end by itself"), (0, True, "nothing was drawn for 2")):
        monkeypatch.setattr(voices, "sample_codes", lambda *_, n=codes, s=stopped: [(torch.arange(n), s)])
        assert run(export, "--text", TEXT, "--out", "out.wav") == 0
        assert told in capsys.readouterr().out


def test_pauses_stand_between_sentences(export, folder):
    for name, pause in (("none", 0.0), ("long", 2.0)):
        assert run(export, "--text", TEXT, "--out", f"{name}.wav", "--pause-seconds", pause) == 0
    lengths = [soundfile.info(f"{name}.wav").frames for name in ("none", "long")]
    assert lengths[1] - lengths[0] == 2 * 16000


def test_each_line_of_a_file_is_what_it_is_alone_and_a_bad_one_is_told(export, folder, capsys):
    (folder / "lines.txt").write_text(f"ሰላም ነው።\n\n你好\n{TEXT}\n")
    assert run(export, "--file", "lines.txt", "--out", "said") == 1
    assert capsys.readouterr().err.startswith("line 3: outside the output alphabet: U+4F60")
    rows = [json.loads(line) for line in (folder / "said/index.jsonl").read_text().splitlines()]
    assert [(row["line"], row["file"], row["spans"]) for row in rows] == [(1, "0001.wav", 1), (4, "0004.wav", 2)]
    assert rows[1]["text_normalised"] == "ሰላም ነው. ሀያ አምስት በመቶ ነው."
    assert run(export, "--text", TEXT, "--out", "alone.wav") == 0
    assert (folder / "alone.wav").read_bytes() == (folder / "said/0004.wav").read_bytes()


def test_without_a_prompt_the_longest_held_out_recording_is_the_voice(export, folder, capsys):
    assert run(export, "--text", TEXT, "--out", "out.wav", prompt=None) == 2
    assert "--prompt: name a recording" in capsys.readouterr().err
    (folder / "data/corpus").mkdir(parents=True)
    rows = [{"id": "a", "role": "target", "split": "train", "duration_seconds": 9.0, "audio": "a.wav"},
            {"id": "b", "role": "target", "split": "test", "duration_seconds": 1.0, "audio": "b.wav"},
            {"id": "c", "role": "target", "split": "test", "duration_seconds": 1.5, "audio": "c.wav"}]
    manifest = folder / "data/corpus/manifest.jsonl"
    manifest.write_text("".join(json.dumps(row | {"speaker": "s"}) + "\n" for row in rows))
    shutil.copyfile("voice.wav", "data/corpus/c.wav")
    assert run(export, "--text", TEXT, "--out", "out.wav", prompt=None) == 0
    assert run(export, "--text", TEXT, "--out", "named.wav") == 0
    assert (folder / "out.wav").read_bytes() == (folder / "named.wav").read_bytes()


def test_what_is_wrong_is_one_line_and_leaves_no_file(export, folder, capsys):
    write_tone("short.wav", 0.2)
    write_tone("silent.wav", 1.0, level=0.0)
    (folder / "held").mkdir()
    (folder / "held/mine.txt").write_text("kept")
    (folder / "bad.txt").write_text("你好\n")
    (folder / "good.txt").write_text("ሰላም\n")
    cases = [
        (("--text", "你好", "--out", "out.wav"), {}, "outside the output alphabet"),
        (("--text", "ሰላም", "--out", "out.wav"), {"prompt": "none.wav"}, "none.wav: cannot read audio"),
        (("--text", "ሰላም", "--out", "out.wav"), {"prompt": "short.wav"}, "a prompt needs 0.5 s"),
        (("--text", "ሰላም", "--out", "out.wav"), {"prompt": "silent.wav"}, "silent in its first"),
        (("--text", "ሰላም", "--out", "out.wav", "--top-p", 1.5), {}, "evaluate_speech.top_p"),
        (("--text", "ሰላም", "--out", "out.wav", "--words-max", 0), {}, "speak.words_max"),
        (("--text", "ሰላም", "--out", "out.doc"), {}, "out.doc: cannot write"),
        (("--file", "good.txt", "--out", "held"), {}, "held exists and is not empty"),
        (("--file", "bad.txt", "--out", "said"), {}, "no line that can be spoken"),
        (("--file", "none.txt", "--out", "said"), {}, "none.txt: cannot read"),
    ]
    before = sorted(folder.rglob("*"))
    for options, other, told in cases:
        assert run(export, *options, **other) == 2, told
        error = capsys.readouterr().err
        assert told in error and "Traceback" not in error
    assert sorted(folder.rglob("*")) == before


def test_a_folder_that_is_no_export_or_was_read_otherwise_is_refused(export, folder, capsys):
    copy = shutil.copytree(export, folder / "copy")
    content = json.loads((copy / "text_settings.json").read_text())
    (copy / "text_settings.json").write_text(json.dumps({**content, "text_settings": "0" * 64}))
    assert run(copy, "--text", TEXT, "--out", "out.wav") == 2
    assert "trained on text read otherwise" in capsys.readouterr().err
    (copy / "text_settings.json").unlink()
    assert run(copy, "--text", TEXT, "--out", "out.wav") == 2
    assert "text_settings.json: missing" in capsys.readouterr().err
