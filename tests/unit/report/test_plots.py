"""What dvc.yaml plots is what the stages write."""

from pathlib import Path

import pytest
import yaml

from stages.prepare_corpus.report import PLOTS as CORPUS_PLOTS
from stages.prepare_corpus.report import Figures, plots
from stages.report.curves import COLUMNS
from stages.report.measures import METRICS

ROOT = Path(__file__).resolve().parents[3]
WRITTEN = {
    "reports/curves.csv": set(COLUMNS), "reports/metrics.csv": {"phase", *(metric.name for metric in METRICS)},
    **{f"data/corpus/{CORPUS_PLOTS}/{name}": set(columns) for name, (columns, _) in plots(Figures()).items()},
}
ENTRIES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["plots"]
PLOTS = {name: plot for entry in ENTRIES for name, plot in entry.items()}


@pytest.mark.parametrize("name", PLOTS)
def test_plotted_columns_are_written(name):
    for file, columns in PLOTS[name]["y"].items():
        named = {PLOTS[name]["x"], *([columns] if isinstance(columns, str) else columns)}
        assert named <= WRITTEN[file], f"dvc.yaml, plots, {name}: name columns of {file}"


@pytest.mark.parametrize("template", ["phases", "histogram"])
def test_templates_are_kept_with_the_project(template):
    assert template in {plot["template"] for plot in PLOTS.values()}
    assert (ROOT / f".dvc/plots/{template}.json").is_file()
