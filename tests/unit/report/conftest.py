"""A small but whole tree of what the earlier stages leave, for the report to read."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from stages.core.tracking.provenance import INPUTS

RATE_HZ = 16_000
HOSTILE_TEXT = "ሰላም <script>document.title = 'run'</script> & \"ዓለም\""
TEXTS = (HOSTILE_TEXT, "ሰው ሁሉ ነጻ ነው", "የሰው ልጅ ክብር")
EXPECTED = "s ə l a m a l ə m"
PHASES = {
    "lora": {"start_from": "base", "approach": "lora", "epochs": 3, "learning_rate": 0.002},
    "full": {"start_from": "lora", "approach": "full", "epochs": 2, "learning_rate": 0.0005},
    "polish": {"start_from": "full", "approach": "lora", "epochs": 1, "learning_rate": 0.0002},
}
TOKENS = {"lora": 30_000, "full": 20_000, "polish": 10_000}
ERRORS = {"base": 0.94, "lora": 0.41, "full": 0.31, "polish": 0.35, "leftover": 0.01}
REPORT = {"sentences": 3, "spectrogram_sentence": 1, "speech": "synthetic, read by a test",
          "judge": "a test's judge", "caution": "Nothing is shown by a test's figures."}


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A project folder, current, with params and all inputs of the report, and a leftover phase."""
    monkeypatch.chdir(tmp_path)
    tracking = {"uri": f"sqlite:///{tmp_path}/mlflow.db", "experiment": "schedule"}
    params = {"phases": PHASES, "gate_phase": {}, "report": REPORT, "tracking": tracking}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    monkeypatch.setenv(INPUTS, json.dumps(lay_out_origin(tmp_path, params)))
    lay_out_data(tmp_path / "data")
    return tmp_path


def lay_out_data(data: Path) -> None:
    """Write corpus, vocabulary, checkpoints and evaluations."""
    lay_out_corpus(data / "corpus")
    write_json(data / "vocabulary/metrics.json", {"base_pieces": 160, "new_pieces": 95, "train_unknown_rate": 0.0001})
    for seed, name in enumerate(ERRORS):
        lay_out_evaluation(data / "evaluation" / name, ERRORS[name], seed)
    for name in (*PHASES, "leftover"):
        lay_out_checkpoint(data / "checkpoints" / name, name)


def lay_out_origin(folder: Path, params: dict) -> dict[str, str]:
    """Two presets, the second nearer by far; DVC's hashes of what the report reads."""
    write_json(folder / "presets/a.yaml", {"phases": {"only": {"start_from": "base"}}})
    phases = {**PHASES, "full": {**PHASES["full"], "epochs": 4}}
    write_json(folder / "presets/b.yaml", params | {"phases": phases, "report": {}})
    made = {"data/corpus": "c0", "data/vocabulary": "d0"}
    for place, name in enumerate(("base", *PHASES)):
        made |= {f"data/checkpoints/{name}": f"a{place}", f"data/evaluation/{name}/metrics.json": f"b{place}"}
    return {path: digest * 16 for path, digest in made.items()}


def lay_out_corpus(folder: Path) -> None:
    """Two speakers of the target, one of a base language."""
    rows = [{"audio": f"audio/am-{speaker}-{index:05d}.flac", "language": "am", "role": "target", "text": text,
             "speaker": f"am-{speaker}", "split": "train" if index else "test"}
            for speaker in ("m2", "f1") for index, text in enumerate(TEXTS)]
    for seed, row in enumerate(rows):
        write_tone(folder / row["audio"], 0.5, seed)
    rows.append({"audio": "audio/en-m1-00000.flac", "language": "en", "role": "base", "text": "hello",
                 "speaker": "en-m1", "split": "test"})
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_json(folder / "summary.json", {
        "utterances": len(rows), "hours": {"base": 0.01, "test": 0.05, "train": 0.4, "validation": 0.03},
        "speakers": ["am-f1", "am-m2", "en-m1"], "quarantined": {"duration": 2}, "text_settings": "0",
    })


def lay_out_evaluation(folder: Path, error: float, seed: int) -> None:
    """Metrics in all their forms, and three sampled sentences."""
    write_json(folder / "metrics.json", {
        "code_cross_entropy": interval(1 + 5 * error, 0.05), "code_top1": interval(1 - error, 0.02),
        "swapped_text_cross_entropy": interval(2 + 5 * error, 0.05), "phone_error_rate": interval(error, 0.03),
        "stop_rate": 0.98, "speaker_similarity": None, "base_language_cross_entropy": interval(2.2 - error / 4, 0.04),
        "reference_phone_error_rate": interval(0.08, 0.01), "codes_phone_error_rate": interval(0.22, 0.02),
        "own_figure": 3.25,
    })
    lay_out_samples(folder / "samples", "samples.jsonl", "", seed)
    lay_out_samples(folder / "samples", "worst.jsonl", "worst-", seed)


def lay_out_samples(folder: Path, name: str, prefix: str, seed: int) -> None:
    """A list of three sampled sentences, and their audio."""
    lines = []
    for index, text in enumerate(TEXTS):
        seconds, file = 0.4 + 0.1 * seed, f"{prefix}{index:02d}.wav"
        write_tone(folder / file, seconds, 10 * seed + index)
        lines.append({
            "file": file, "id": f"am-m2-{index:05d}", "text": text, "speaker": "am-m2",
            "symbols": "phones", "expected": EXPECTED, "heard": EXPECTED.replace("l", "r") if seed else "", "errors": 2,
            "length": 9, "stopped": index > 0, "duration_seconds": seconds,
            "reference": f"audio/am-m2-{index:05d}.flac", "prompt": "audio/am-m2-00000.flac",
        })
    (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines))


def lay_out_checkpoint(folder: Path, name: str) -> None:
    """A curve of ten training points, with validation before and after."""
    tokens = TOKENS.get(name, 999)
    write_json(folder / "summary.json", {
        "start_from": "base", "approach": "lora", "steps": 100, "tokens_seen": tokens, "last": {},
        "parameters": {"trained": 50_000, "total": 1_000_000, "trained_percent": 5.0},
    })
    write_json(folder.parents[1] / "costs" / f"{name}.json", {
        "resumed": False, "tokens": tokens, "seconds": 30.0, "tokens_per_second": tokens / 30, "peak_memory_gib": 0.5,
        "training_memory_gib": 0.2, "device": "cpu", "processes": 1, "threads": 2, "torch": "2.13.0",
        "git_commit": "0123456789abcdef" * 2 + "01234567+changes",
        "made_from": {"data/base": "e0" * 16, "data/checkpoints/base": "a0" * 16, "data/features": "f0" * 16},
    })
    level = ERRORS.get(name, 1)
    points = [{"step": 0, "tokens_seen": 0, "validation_code_cross_entropy": 2 + 5 * level}]
    points += [{"step": 10 * part, "tokens_seen": tokens * part // 10, "code_cross_entropy": 1 + 5 * level + 3 / part,
                "learning_rate": 0.001 * part, "loss": 9.0} for part in range(1, 11)]
    points.append({"step": 100, "tokens_seen": tokens, "validation_code_cross_entropy": 1.2 + 5 * level})
    columns = ("step", "tokens_seen", "code_cross_entropy", "learning_rate", "loss", "validation_code_cross_entropy")
    with open(folder / "curves.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(points)


def interval(mean: float, half: float) -> dict[str, float]:
    return {"mean": mean, "low": mean - half, "high": mean + half, "n": 60}


def write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def write_tone(path: Path, seconds: float, seed: int) -> None:
    """A tone that glides, with a little noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    noise = np.random.default_rng(seed).normal(size=len(times)) * 0.01
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * (200 + 90 * seed * times) * times) + noise, RATE_HZ)
