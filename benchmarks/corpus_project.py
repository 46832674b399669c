"""A project with nothing but a generated corpus, for benchmarks/corpus_scale.py."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import yaml

from stages.core.audio.espeak import synthesise
from stages.core.params.shared import SpeakerConfig
from stages.core.text.sentences import split_sentences

ROOT = Path(__file__).resolve().parents[1]
PRESET, TEXT = ROOT / "presets/indextts2.yaml", ROOT / "data/text/amh.txt"
DVC_STAGE = {"stages": {"prepare_corpus": {
    "cmd": "python -m stages prepare_corpus", "deps": ["data/recordings"], "outs": ["data/corpus"]}}}
VARIANTS = ("m2", "m4", "m6", "f1", "f4")
SPEAKERS = 50
RECORDING_SECONDS, RECORDINGS = 300, 6
NEW_SECONDS = 6.0
SHORT_SECONDS, SHORT_STEP_SECONDS, SHORT_RATE_HZ = 0.6, 0.05, 16_000
COUNT_HASHED = """
import json, os
from dvc.repo import Repo
from dvc_data.hashfile import hash as hashing
hashed, real = [], hashing.file_md5
def counted(path, *args, **options):
    hashed.append(path)
    return real(path, *args, **options)
hashing.file_md5 = counted
Repo(".").commit(force=True)
inside = [path for path in hashed if "/data/" in os.path.abspath(path)]
print(json.dumps({"files": len(inside), "bytes": sum(os.path.getsize(path) for path in inside)}))
"""


@dataclass(frozen=True)
class Project:
    """The folder of a project."""

    folder: Path

    @staticmethod
    def environment() -> dict[str, str]:
        """Of the processes that run in it."""
        return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(len(os.sched_getaffinity(0))),
                "MLFLOW_DISABLE_TELEMETRY": "true"}

    def write_params(self, kind: str, **source: Any) -> Path:
        """The preset with one recorded source; returns the source's folder."""
        params = yaml.safe_load(PRESET.read_text(encoding="utf-8"))
        path = f"data/recordings/{kind}"
        params["prepare_corpus"]["sources"] = [
            {"kind": kind, "name": kind, "role": "target", "language": "am", "path": path, **source}]
        (self.folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
        (self.folder / path).mkdir(parents=True, exist_ok=True)
        return self.folder / path

    def write_segments(self, hours: float, before: float = 0.0) -> None:
        """A Kaldi corpus of so many hours, or so many more in new files behind those that are there."""
        folder, part = self.write_params("kaldi"), f"part{before:g}"
        recordings = [f"{part}-{number}" for number in range(RECORDINGS)]
        for name, audio in zip(recordings, spoken_recordings(), strict=True):
            soundfile.write(folder / f"{name}.wav", audio if not before else 0.7 * audio, SPOKEN_RATE_HZ)
        count = round(hours * 3600 / NEW_SECONDS)
        step = (RECORDING_SECONDS - NEW_SECONDS) / -(-count // RECORDINGS)
        tables: dict[str, list[str]] = {"wav.scp": [f"{name} {name}.wav" for name in recordings]}
        first = round(before * 3600 / NEW_SECONDS)
        for number, sentence in zip(range(count), cycle(sentences())):
            identifier, start = f"{part}-{number:06d}", number // RECORDINGS * step
            recording = recordings[number % RECORDINGS]
            for name, line in {"segments": f"{recording} {start:.3f} {start + NEW_SECONDS:.3f}",
                               "text": f"{sentence} {first + number}", "utt2spk": speaker_of(number, count)}.items():
                tables.setdefault(name, []).append(f"{identifier} {line}")
        for name, lines in tables.items():
            with open(folder / name, "a", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in lines)

    def write_rows(self, count: int) -> None:
        """A JSONL corpus of short parts of noise that rises and falls."""
        folder = self.write_params("jsonl", manifest="manifest.jsonl")
        in_a_file = round((RECORDING_SECONDS - SHORT_SECONDS) / SHORT_STEP_SECONDS)
        for number in range(-(-count // in_a_file)):
            soundfile.write(folder / f"{number}.wav", noise(number), SHORT_RATE_HZ)
        with open(folder / "manifest.jsonl", "w", encoding="utf-8") as file:
            for number in range(count):
                file_number, place = divmod(number, in_a_file)
                start = place * SHORT_STEP_SECONDS
                file.write(json.dumps({
                    "id": f"u{number:06d}", "audio": f"{file_number}.wav", "speaker": speaker_of(number, count),
                    "start": round(start, 3), "end": round(start + SHORT_SECONDS, 3), "text": f"{number} ነው",
                }, ensure_ascii=False) + "\n")

    def shards(self) -> list[str]:
        """The finished shards that are kept."""
        return [path.name for path in (self.folder / ".resume/prepare_corpus").iterdir() if path.is_dir()]

    def audio_inodes(self) -> dict[str, int]:
        """Audio files of the corpus and the inodes that hold them."""
        corpus = self.folder / "data/corpus"
        return {str(path.relative_to(corpus)): path.stat().st_ino for path in corpus.rglob("*.flac")}

    def commit(self) -> dict[str, Any]:
        """Let DVC take input and output of the stage; files and bytes that it hashed."""
        if not (self.folder / ".dvc").exists():
            subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "-q"], cwd=self.folder, check=True)
            config = (ROOT / ".dvc/config").read_text(encoding="utf-8")
            (self.folder / ".dvc/config").write_text(config.replace("[core]", "[core]\n    no_scm = true", 1))
            shutil.copy(ROOT / ".dvcignore", self.folder)
            (self.folder / "dvc.yaml").write_text(yaml.safe_dump(DVC_STAGE), encoding="utf-8")
        done = subprocess.run([sys.executable, "-c", COUNT_HASHED], cwd=self.folder, check=True, capture_output=True,
                              text=True)
        counted: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return counted


SPOKEN_RATE_HZ = 22_050


def speaker_of(number: int, count: int) -> str:
    """Speakers in turn, each with ten utterances and more."""
    return f"s{number % min(SPEAKERS, max(1, count // 10))}"


def sentences() -> list[str]:
    """Of the Universal Declaration."""
    return [one for line in TEXT.read_text(encoding="utf-8").splitlines() for one in split_sentences(line)]


@cache
def spoken_recordings() -> list[np.ndarray]:
    """Recordings of `RECORDING_SECONDS` with one sentence after the other, voices in turn."""
    wanted, recordings = RECORDING_SECONDS * SPOKEN_RATE_HZ, list[np.ndarray]()
    held: np.ndarray = np.zeros(0, np.float32)
    turns = zip(cycle(sentences()), cycle(VARIANTS), range(10**9))
    for _ in range(RECORDINGS):
        while len(held) < wanted:
            sentence, variant, number = next(turns)
            speaker = SpeakerConfig(variant=variant, pitch=40 + number % 20, pitch_range=50, rate_words_per_minute=150)
            samples, rate_hz = synthesise(sentence, "am", speaker)
            assert rate_hz == SPOKEN_RATE_HZ
            held = np.concatenate([held, samples])
        recordings.append(held[:wanted])
        held = held[wanted:]
    return recordings


def noise(seed: int) -> np.ndarray:
    """A recording of noise whose level rises and falls four times a second."""
    count = RECORDING_SECONDS * SHORT_RATE_HZ
    swing = 0.6 + 0.4 * np.sin(2 * np.pi * 4 * np.arange(count) / SHORT_RATE_HZ)
    return 0.1 * swing * np.random.default_rng(seed).standard_normal(count)
