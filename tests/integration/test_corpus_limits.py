"""The smallest corpora, and a disk that refuses: the real command ends well or with one clear line."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from stages.__main__ import main
from stages.core.artifacts.files import read_jsonl
from tests.corpora import readings, source, write_jsonl
from tests.tiny_project import ROOT, tiny_params

MANIFEST = Path("data/corpus/manifest.jsonl")
KIB = 1024


def take(params, **changed):
    """Write params.yaml with one source; nothing is recorded."""
    settings = tiny_params()
    settings["prepare_corpus"] |= {"sources": [params], **changed}
    settings["tracking"]["uri"] = "none"
    Path("params.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True, sort_keys=False))


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capsys):
    """What the command says when it stops; one line, and nothing half-written."""
    assert main(["prepare_corpus"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and said[0].startswith("error: ")
    assert not [path.name for path in Path("data").iterdir() if path.name != "recordings"]
    return said[0]


def test_one_speaker_is_a_corpus(project):
    take(write_jsonl(project, readings(14, ("m2",)), "home"))
    assert main(["prepare_corpus"]) == 0
    rows = read_jsonl(MANIFEST)
    assert len(rows) == 14 and {row["speaker"] for row in rows} == {"home-m2"}
    assert {row["split"] for row in rows} >= {"train", "test"}


@pytest.mark.parametrize("count, reason", [
    (1, "only one utterance of the speaker"), (0, "home/manifest.jsonl: is empty"),
])
def test_one_utterance_or_none_is_one_clear_line(project, capsys, count, reason):
    take(write_jsonl(project, readings(1, ("m2",))[:count], "home"))
    assert reason in refused(capsys)


def test_a_corpus_of_nothing_but_bad_rows_names_each_and_stops(project, capsys):
    folder, params = source("jsonl", project, "home", manifest="manifest.jsonl")
    rows = [{"audio": f"{number}.wav", "text": "ሰላም ነው።", "speaker": "a"} for number in range(3)]
    (folder / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    take(params)
    assert "no test and no train utterance" in (said := refused(capsys)) and "3 x missing audio" in said


def test_a_folder_that_is_not_there_is_named(project, capsys):
    take(write_jsonl(project, readings(2), "home") | {"path": "data/recordings/nowhere"})
    assert "data/recordings/nowhere" in refused(capsys)


@pytest.mark.parametrize("kib, seconds, count, where", [
    (64, 3.0, 12, ".resume/prepare_corpus"), (40, 0.6, 200, "data/corpus"),
])
def test_a_file_that_the_disk_refuses_is_one_clear_line_and_the_next_run_goes_on(project, kib, seconds, count, where):
    """A limit on the size of files stands for a disk that is full: audio first, or the lists at the very end."""
    folder, params = source("jsonl", project, "home", manifest="manifest.jsonl")
    noise = 0.1 * np.random.default_rng(0).standard_normal(int(16_000 * (seconds + 0.001 * count)))
    rows = []
    for number in range(count):
        start = 16 * number
        soundfile.write(folder / f"{number}.wav", noise[start : start + int(16_000 * seconds)], 16_000)
        rows.append({"audio": f"{number}.wav", "text": f"{number} ሰው", "speaker": "a"})
    (folder / "manifest.jsonl").write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows))
    take(params, characters_per_second_deviations_max=1000.0)
    stopped = prepare(kib * KIB)
    told = [line for line in stopped.stderr.splitlines() if line.startswith("error: ")]
    assert stopped.returncode == 2 and len(told) == 1 and "Traceback" not in stopped.stderr, stopped.stderr
    assert told[0].startswith(f"error: {where}: cannot write: File too large")
    assert not MANIFEST.parent.exists()
    assert main(["prepare_corpus"]) == 0
    assert [row["text"] for row in read_jsonl(MANIFEST)] == [row["text"] for row in rows]


def prepare(largest_file_bytes):
    """Run the command where no file may grow beyond a size."""
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file_bytes, resource.RLIM_INFINITY))

    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
    return subprocess.run([sys.executable, "-m", "stages", "prepare_corpus"], capture_output=True, text=True,
                          preexec_fn=limit, env=environment)
