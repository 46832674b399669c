"""A project whose corpus is recorded: every recording has a sentence and a loudness of its own, in several shards."""

import json
from pathlib import Path

import soundfile
import yaml

from stages.core.params.shared import TrackingConfig
from stages.core.tracking.mlflow_store import open_store
from tests.corpora import readings, source, write_lines
from tests.tiny_project import WORDS, tiny_params

SPEAKERS = 2
HOME = Path("data/recordings/home")
MANIFEST = HOME / "manifest.jsonl"


def make_recorded_project(folder: Path, rows: int) -> None:
    """Write recordings, params.yaml and a store for runs into `folder`."""
    home, params = source("jsonl", folder, HOME.name, manifest=MANIFEST.name)
    write_recordings(folder, 0, rows)
    write_lines(home / MANIFEST.name, manifest_lines(0, rows))
    settings = tiny_params()
    settings["prepare_corpus"]["sources"] = [params]
    (folder / "params.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True))
    open_store(TrackingConfig(uri=f"sqlite:///{folder}/mlflow.db", experiment="amharic-indextts2"))


def write_recordings(folder: Path, first: int, last: int) -> None:
    """The same words, each time louder."""
    samples, rate_hz = readings(1, ("m2",))[0].samples()
    for number in range(first, last):
        soundfile.write(folder / HOME / f"{number:04d}.flac", samples * (0.3 + number / 2000), rate_hz)


def manifest_lines(first: int, last: int) -> list[str]:
    """Rows of the manifest, at most 196 for each speaker."""
    return [json.dumps({"audio": f"{number:04d}.flac", "speaker": f"speaker {number % SPEAKERS}",
                        "text": f"{WORDS[number // SPEAKERS % 14]} {WORDS[number // SPEAKERS // 14]} ሰው እኩል ነው።"},
                       ensure_ascii=False) for number in range(first, last)]
