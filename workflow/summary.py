"""The results of the schedule as a table for the terminal.

python -m workflow.summary             metrics of the base and of every phase, and where to look further
python -m workflow.summary --stages    seconds and memory of each stage's last run by Snakemake
"""

import csv
import sys
from pathlib import Path
from typing import Any

from stages.core.artifacts.figures import number_of
from stages.core.artifacts.files import read_json
from stages.core.errors import UserError
from stages.core.params.command import run_command
from stages.core.params.phases import BASE, phase_order
from stages.core.params.strict import read_params

EVALUATION = Path("data/evaluation")
BENCHMARKS = Path(".pipeline/benchmarks")
REPORT = Path("reports/index.html")


def main(argv: list[str] | None = None) -> int:
    """Print one of the two tables."""
    return run_command(lambda: show("--stages" in (sys.argv[1:] if argv is None else argv)))


def show(stages: bool) -> int:
    """Print the table of stages or that of metrics."""
    if stages:
        print(render(stage_rows()))
    else:
        print(f"{render(metric_rows())}\n\nreport: {REPORT.resolve()}\nMLflow: make ui, then http://127.0.0.1:5000")
    return 0


def metric_rows() -> list[list[str]]:
    """One row a metric, one column the base and each phase."""
    phases = read_params()["phases"]
    columns = [BASE, *phase_order({name: phase["start_from"] for name, phase in phases.items()})]
    metrics = [read_json(EVALUATION / name / "metrics.json") for name in columns]
    names = dict.fromkeys(name for held in metrics for name, value in held.items() if number_of(value) is not None)
    return [["", *columns], *([name, *(shown(held.get(name)) for held in metrics)] for name in names)]


def shown(value: Any) -> str:
    """Show a metric with three decimals."""
    number = number_of(value)
    return "-" if number is None else f"{number:.3f}"


def stage_rows() -> list[list[str]]:
    """One row a stage: wall seconds and peak resident memory, as Snakemake measured them."""
    rows = [["stage", "seconds", "memory MiB"]]
    for path in sorted(BENCHMARKS.glob("*.tsv"), key=lambda path: path.stat().st_mtime):
        with open(path, encoding="utf-8") as file:
            last = list(csv.DictReader(file, delimiter="\t"))[-1]
        rows.append([path.stem, last["s"], last["max_rss"]])
    if len(rows) == 1:
        raise UserError(f"{BENCHMARKS}: no measurements; they come from `make run`")
    return rows


def render(rows: list[list[str]]) -> str:
    """Align the first column left and the others right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [text.rjust(width) for text, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
