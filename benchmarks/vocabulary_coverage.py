"""Character coverage of the last `train_vocabulary` run, on sentences that it held out."""

from pathlib import Path
from typing import Any

from benchmarks.device import Machine
from stages.core.artifacts.files import read_json

METRICS = Path("data/vocabulary/metrics.json")
FIGURES = ("base_pieces", "new_pieces", "held_out_character_coverage", "held_out_unknown_rate")


def measure(machine: Machine) -> dict[str, Any]:
    """The stage's own figures; none before `make run`."""
    if not METRICS.is_file():
        return dict.fromkeys(FIGURES)
    metrics = read_json(METRICS)
    return {name: metrics.get(name) for name in FIGURES}
