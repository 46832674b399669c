"""Reading features as training does: memory as the corpus grows from 2 h to 200 h, and utterances a second.

Synthetic features of the miniature's widths are written with the product's `write_shard` (200 h: 0.5 GB, removed
afterwards), then read by the product's plan and reader in a process of its own, random batches with random prompts, one
epoch. Memory: anonymous and shared pages of the process and its workers, each page counted once (Pss_Anon and Pss_Shmem
of /proc/PID/smaps_rollup); pages of the mapped shards are the kernel's cache, which it takes back when needed, and do
not count.
"""

import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks.device import BYTES_PER_MIB, Machine, run_in_child
from benchmarks.lengths import FIRST_PIECE, draw_seconds
from benchmarks.shapes import Shape, miniature
from stages.core.artifacts.files import write_jsonl
from stages.core.training.features import INDEX_FILE, FeatureSet, write_shard
from stages.core.training.plan import EpochPlan
from stages.core.training.steps import StepPlan, read_ahead

HOURS = (2.0, 200.0)
WORKERS = (0, 2)
BATCH_UTTERANCES = 16
SHARD_UTTERANCES = 2048
SPEAKERS = 50
SAMPLES = 50


def measure(machine: Machine, hours: tuple[float, ...] = HOURS, workers: tuple[int, ...] = WORKERS) -> dict[str, Any]:
    """Write features of each size and read an epoch of them with each number of workers."""
    cases = []
    for size in hours:
        with tempfile.TemporaryDirectory() as folder:
            written = write_features(Path(folder), miniature(), size)
            for count in workers:
                case = {"folder": folder, "workers": count, "batch_utterances": BATCH_UTTERANCES}
                read = run_in_child("benchmarks.feature_loading", case)
                cases.append({"hours": size, **written, "workers": count, **read})
    return {"batch_utterances": BATCH_UTTERANCES, "cases": cases}


def write_features(folder: Path, shape: Shape, hours: float) -> dict[str, Any]:
    """Fill a features folder with random utterances of so many hours in all."""
    index: list[dict[str, Any]] = []
    for number, seconds in enumerate(_shards(hours)):
        name = f"features-{number:05d}.safetensors"
        rows = _rows(shape, seconds, number)
        write_shard(folder / name, rows)
        for place, row in enumerate(rows):
            at = len(index)
            speaker = at % SPEAKERS
            index.append({
                "id": f"u{at:06d}", "speaker": f"s{speaker}", "language": "am", "role": "target", "split": "train",
                "shard": name, "place": place, "prompt": f"u{speaker:06d}", "text_tokens": len(row["text"]),
                "code_tokens": len(row["codes"])})
    write_jsonl(folder / INDEX_FILE, index)
    size = sum(path.stat().st_size for path in folder.iterdir())
    return {"utterances": len(index), "mib_on_disk": round(size / BYTES_PER_MIB, 1)}


def _shards(hours: float) -> Iterator[list[float]]:
    """Durations in seconds, a shard at a time, until the hours are reached."""
    generator, left = torch.Generator().manual_seed(0), hours * 3600
    while left > 0:
        shard = []
        for seconds in draw_seconds(SHARD_UTTERANCES, generator):
            if left > 0:
                shard.append(seconds)
                left -= seconds
        yield shard


def _rows(shape: Shape, seconds: list[float], seed: int) -> list[dict[str, torch.Tensor]]:
    generator, settings = torch.Generator().manual_seed(seed), shape.settings

    def draw(low: int, high: int, per_second: float) -> tuple[torch.Tensor, ...]:
        lengths = [max(1, round(one * per_second)) for one in seconds]
        return torch.randint(low, high, (sum(lengths),), generator=generator).split(lengths)

    texts = draw(FIRST_PIECE, settings.number_text_tokens, shape.text_tokens_per_second)
    codes = draw(0, settings.start_mel_token, shape.codes_per_second)
    voices = torch.randn(len(seconds), settings.condition_num_latent + 1, settings.model_dim, generator=generator)
    return [{"text": text, "codes": code, "voice": voice[1:], "emotion": voice[0]}
            for text, code, voice in zip(texts, codes, voices, strict=True)]


def read_epoch(case: dict[str, Any]) -> dict[str, Any]:
    """Read one epoch; memory over that before the folder was opened, and speed."""
    before = held_bytes()
    features = FeatureSet(Path(case["folder"]), lambda row: True)
    opened = held_bytes()
    batches = EpochPlan(features.utterances, case["batch_utterances"], 0.0, 0).batches(0)
    plan = StepPlan(features, miniature().settings, batches, "0", 0, 1, 0, False)
    held, every, started, sampling = [], max(1, len(batches) // SAMPLES), time.perf_counter(), 0.0
    for number, _ in enumerate(read_ahead(plan, 0, case["workers"], False)):
        if number % every == 0:
            paused = time.perf_counter()
            held.append(held_bytes() - before)
            sampling += time.perf_counter() - paused
    seconds = time.perf_counter() - started - sampling
    tenth = held[max(1, len(held) // 10) : ]
    return {"index_mib": _mib(opened - before), "mib_after_a_tenth": _mib(tenth[0]), "mib_at_the_end": _mib(held[-1]),
            "mib_peak": _mib(max(held)), "utterances_per_second": round(len(features) / seconds)}


def held_bytes() -> int:
    """Anonymous and shared memory of this process and those it started, each page counted once."""
    total = 0
    for process in ("self", *(child.pid for child in multiprocessing.active_children())):
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(("Pss_Anon:", "Pss_Shmem:")))
    return total


def _mib(size: int) -> float:
    return round(size / BYTES_PER_MIB, 1)


if __name__ == "__main__":
    print(json.dumps(read_epoch(json.loads(sys.argv[1]))))
