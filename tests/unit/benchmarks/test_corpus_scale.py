"""The benchmark of prepare_corpus at a size that takes seconds."""

import subprocess
import sys

import pytest
import soundfile
import yaml

from benchmarks import corpus_project, corpus_scale
from benchmarks.corpus_project import Project
from benchmarks.corpus_scale import Watched
from benchmarks.device import this_processor
from benchmarks.page_corpus import corpus_section
from benchmarks.results_folder import load, save

MACHINE = this_processor()


@pytest.fixture
def small(monkeypatch):
    """Recordings of some seconds."""
    monkeypatch.setattr(corpus_project, "RECORDING_SECONDS", 20)
    corpus_project.spoken_recordings.cache_clear()
    yield
    corpus_project.spoken_recordings.cache_clear()


def test_segments_lie_inside_their_recordings_and_growth_adds_new_files(tmp_path, small):
    project = Project(tmp_path)
    project.write_segments(0.05)
    project.write_segments(0.02, before=0.05)
    folder = tmp_path / "data/recordings/kaldi"
    lines = [line.split() for line in (folder / "segments").read_text().splitlines()]
    assert len(lines) == len({line[0] for line in lines}) == 30 + 12
    assert len(list(folder.glob("*.wav"))) == 2 * corpus_project.RECORDINGS
    for _, recording, start, end in lines:
        assert 0 <= float(start) < float(end) <= soundfile.info(folder / f"{recording}.wav").duration
    texts = (folder / "text").read_text().splitlines()
    assert len({line.split(maxsplit=1)[1] for line in texts}) == len(texts)


def test_a_process_and_its_children_are_watched():
    child = "import time; held = bytearray(30 << 20); time.sleep(30)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    watched = Watched()
    with subprocess.Popen([sys.executable, "-c", parent]) as process:
        while len(watched.cpu_seconds) < 2 or watched.mib[-1] < 30:
            watched.look(process.pid)
        for pid in sorted(watched.cpu_seconds, reverse=True):
            subprocess.run(["kill", str(pid)], check=True)
    assert watched.mib[-1] < 200


@pytest.mark.slow
def test_every_figure_is_measured_and_shown(tmp_path, small, monkeypatch):
    unrecorded = yaml.safe_load(corpus_project.PRESET.read_text(encoding="utf-8")) | {
        "tracking": {"uri": "none", "experiment": "none"}}
    (tmp_path / "preset.yaml").write_text(yaml.safe_dump(unrecorded), encoding="utf-8")
    monkeypatch.setattr(corpus_project, "PRESET", tmp_path / "preset.yaml")
    result = corpus_scale.measure(MACHINE, (0.05,), 0.02, (60,))
    assert result["by_hours"][0]["utterances"] == 30 and result["by_rows"][0]["utterances"] == 60
    growth = result["growth"]
    assert growth["utterances"] == 42 and growth["rows_made"] >= 12 and growth["dvc_first"]["files"] > 30
    save(tmp_path, "corpus_scale", MACHINE, result)
    page = corpus_section(load(tmp_path, "corpus_scale"))
    assert "| 0.05 h | 30 | 0.05 |" in page and "| 60 rows | 60 | 0.01 |" in page
    assert "0.02 h more, in new files, behind 0.05 h" in page
