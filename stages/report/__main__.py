"""One page: the phases of the schedule side by side, in words, figures and sound.

data/checkpoints, data/corpus, data/costs, data/evaluation, data/vocabulary, presets -> reports/
    index.html     the page; figures and audio are inside, it fetches nothing
    curves.csv     figures of all phases over the tokens that the weights have seen since the base
    metrics.csv    a row for the base and each phase; an empty cell is unmeasured
    figures/       the curves as SVG, a spectrogram of one sentence by each model as PNG
    audio/         <reference, base or phase>/<sentence>.flac: what the page plays

The same inputs give the same bytes.
"""

import sys
from pathlib import Path

from stages.core.artifacts.files import csv_text, output_folder, write_text
from stages.core.params.command import run_command, stage_parser
from stages.core.params.strict import load_section, read_params
from stages.core.tracking.mlflow_runs import stage_run
from stages.report.config import Config, Gates
from stages.report.curves import COLUMNS, join_curves, write_metrics_table
from stages.report.figures import draw_curves
from stages.report.gather import Findings, gather_findings
from stages.report.page import render_page

OUTPUT = Path("reports")
FOLDERS = ("figures", "audio")


def main(argv: list[str] | None = None) -> int:
    stage_parser("report", __doc__).parse_args(argv)
    config, phases = load_section(Config, "report"), read_params()["phases"]
    findings = gather_findings(phases, load_section(Gates, "gate_phase").root)
    with stage_run("report", config.model_dump()) as run:
        with output_folder(OUTPUT) as folder:
            write_report(findings, config, folder)
        run.parent.log_metrics(final_metrics(findings), step=0)
        for name in ("index.html", "curves.csv", "metrics.csv"):
            run.parent.log_artifact(OUTPUT / name)
        for name in FOLDERS:
            run.parent.log_artifact(OUTPUT / name, name)
    print(f"{OUTPUT / 'index.html'}: {len(phases)} phases beside the base")
    return 0


def write_report(findings: Findings, config: Config, folder: Path) -> None:
    """Write every file of the report."""
    for name in FOLDERS:
        (folder / name).mkdir()
    write_text(folder / "curves.csv", csv_text(join_curves(findings.phases), COLUMNS))
    write_text(folder / "metrics.csv", write_metrics_table(findings.results))
    draw_curves(findings.phases, folder / "figures")
    write_text(folder / "index.html", render_page(findings, config, folder))


def final_metrics(findings: Findings) -> dict[str, float]:
    """The last phase's measured means, under their own names."""
    return {name: measure.mean for name, measure in findings.final.measures.items() if measure.mean is not None}


if __name__ == "__main__":
    sys.exit(run_command(main))
