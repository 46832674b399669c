"""Results on disk: one JSON a benchmark and device, one page for people."""

from pathlib import Path
from typing import Any

from benchmarks.device import Machine
from stages.core.artifacts.files import read_json, write_json

RESULTS = Path("benchmarks/results")
PAGE = "README.md"
Result = dict[str, Any]


def save(folder: Path, name: str, machine: Machine, figures: Result) -> None:
    """Write the figures of a benchmark on this device; those of other kinds of device stay."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"{name}{machine.suffix}.json", {"machine": machine.describe(), **figures})


def load(folder: Path, name: str) -> list[Result]:
    """What was measured so far, the CPU's first."""
    paths = [folder / f"{name}.json", *sorted(folder.glob(f"{name}.*.json"))]
    return [read_json(path) for path in paths if path.is_file()]


def is_gpu(result: Result) -> bool:
    """Whether a result comes from a GPU."""
    return "vectors" not in result["machine"]
