"""What dvc.yaml plots is what the report writes."""

from pathlib import Path

import pytest
import yaml

from stages.report.curves import COLUMNS
from stages.report.measures import METRICS

ROOT = Path(__file__).resolve().parents[3]
WRITTEN = {"reports/curves.csv": set(COLUMNS), "reports/metrics.csv": {"phase", *(metric.name for metric in METRICS)}}
ENTRIES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["plots"]
PLOTS = {name: plot for entry in ENTRIES for name, plot in entry.items()}


@pytest.mark.parametrize("name", PLOTS)
def test_plotted_columns_are_written(name):
    for file, columns in PLOTS[name]["y"].items():
        named = {PLOTS[name]["x"], *([columns] if isinstance(columns, str) else columns)}
        assert named <= WRITTEN[file], f"dvc.yaml, plots, {name}: name columns of {file}"


def test_template_of_the_curves_is_kept_with_the_project():
    assert (ROOT / ".dvc/plots/phases.json").is_file()
