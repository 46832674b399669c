"""All runs side by side, and the claims that they answer.

data/comparison/plan, data/comparison/runs, data/evaluation/base, data/vocabulary -> data/comparison/
    table.md          for people: who is best, the table of each corpus, learning rates, claims
    table.json        the same figures unrounded
    strategies.csv    a row a strategy and corpus, for DVC's plots
"""

import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stages.compare_strategies.claims import Answer, answer_claims
from stages.compare_strategies.comparison import BASE_CODES, COST, QUALITY, Comparison, Figure, parse_result
from stages.compare_strategies.config import Config
from stages.compare_strategies.page import render_page
from stages.compare_strategies.runs import PLAN, RUNS, planned_runs
from stages.core.artifacts.figures import number_of
from stages.core.artifacts.files import csv_text, read_json, write_json, write_text
from stages.core.artifacts.text_settings import SUMMARY
from stages.core.errors import UserError
from stages.core.params.command import run_command, stage_parser
from stages.core.params.strict import load_section
from stages.core.tracking.mlflow_runs import whole_run
from stages.core.tracking.mlflow_store import COMPARISON

BASE_FIGURES, VOCABULARY = Path("data/evaluation/base/metrics.json"), Path("data/vocabulary/metrics.json")
OUTPUT = Path("data/comparison")


def main(argv: list[str] | None = None) -> int:
    stage_parser("compare_strategies.table", __doc__).parse_args(argv)
    config = load_section(Config, "compare_strategies")
    with whole_run(COMPARISON) as run:
        comparison, page = write_tables(config)
        run.log_metrics(final_figures(comparison), step=0)
        for name in ("table.md", "table.json"):
            run.log_artifact(OUTPUT / name)
    print(page)
    return 0


def write_tables(config: Config) -> tuple[Comparison, str]:
    """Write every file of the comparison; the runs side by side, and the page."""
    metrics = sort_runs(read_results(), config)
    base = {name: number_of(value) for name, value in read_json(BASE_FIGURES).items()}
    comparison = Comparison([parse_result(one) for one in metrics], base, config.reference)
    scale = tell_scale(metrics, config)
    answers = answer_claims(comparison, scale)
    page = render_page(comparison, scale, answers)
    write_json(OUTPUT / "table.json", as_json(comparison, scale, answers))
    write_text(OUTPUT / "strategies.csv", as_csv(comparison))
    write_text(OUTPUT / "table.md", page)
    return comparison, page


def read_results() -> list[dict[str, Any]]:
    """Metrics of every run of the plan.

    Raises:
        UserError: some are not there.
    """
    paths = {name: RUNS / name / "metrics.json" for name in planned_runs()}
    missing = [name for name, path in paths.items() if not path.is_file()]
    if missing or not paths:
        raise UserError(f"{RUNS}: {len(missing)} of {len(paths)} runs are missing ({', '.join(missing[:3])}); "
                        "`snakemake compare` runs them")
    return [read_json(path) for path in paths.values()]


def sort_runs(metrics: list[dict[str, Any]], config: Config) -> list[dict[str, Any]]:
    """Strategies and corpora in the order of the params."""
    corpora = list(config.corpora.model_dump())

    def place(one: dict[str, Any]) -> tuple[int, int, float, int]:
        run = one["run"]
        return (config.compared.index(run["strategy"]), corpora.index(run["corpus"]), run["rate_factor"], run["seed"])

    return sorted(metrics, key=place)


def tell_scale(metrics: list[dict[str, Any]], config: Config) -> dict[str, Any]:
    """On what the figures were measured."""
    corpora = {}
    for name in config.corpora.model_dump():
        held = read_json(PLAN / name / SUMMARY)
        corpora[name] = (f"{name} corpus, {60 * held['hours']:.1f} minutes, {held['utterances']:,} utterances of "
                         f"{held['texts']:,} texts")
    parameters = next((one["parameters"] for one in metrics if one["parameters"]), 0)
    devices = sorted({f"{one['device']}, {one['threads']} thread(s)" for one in metrics if one["device"]})
    dates = sorted({one["date"] for one in metrics})
    return {
        "parameters": parameters, "model": f"{parameters / 1e6:.1f} M parameters", "corpora": corpora,
        "tokens": config.tokens, "seeds": config.seeds, "runs": len(metrics), "device": "; ".join(devices),
        "dates": dates, "vocabulary": read_json(VOCABULARY),
    }


def as_json(comparison: Comparison, scale: Mapping[str, Any], answers: list[Answer]) -> dict[str, Any]:
    """Everything that the page tells; null is unmeasured."""
    return {
        "scale": {name: value for name, value in scale.items() if name != "vocabulary"},
        "strategies": {corpus: {strategy: cell_of(comparison, strategy, corpus) for strategy in comparison.strategies}
                       for corpus in comparison.corpora},
        "learning_rates": {strategy: {name: {str(factor): value for factor, value in
                                             comparison.over_rates(strategy, name).items()} for name in QUALITY}
                           for strategy in comparison.strategies},
        "diverged": [f"{one.strategy}, {one.corpus}, seed {one.seed}, rates x {one.rate_factor:g}"
                     for one in comparison.diverged()],
        "claims": [asdict(answer) for answer in answers],
    }


def cell_of(comparison: Comparison, strategy: str, corpus: str) -> dict[str, Any]:
    """All figures of one strategy on one corpus."""
    figures = {name: comparison.figure(strategy, corpus, name) for name in (*COST, *QUALITY, BASE_CODES)}
    figures |= {f"quality_by_{name}": comparison.quality(strategy, corpus, name) for name in QUALITY}
    figures["base_language_rise"] = comparison.forgetting(strategy, corpus)
    return {name: None if figure is None else figure_as_json(figure) for name, figure in figures.items()}


def figure_as_json(figure: Figure) -> dict[str, Any]:
    return {**asdict(figure), "spread": figure.spread}


def as_csv(comparison: Comparison) -> str:
    """Means for plots; an empty cell is unmeasured."""
    rows = []
    for corpus in comparison.corpora:
        for strategy in comparison.strategies:
            figures = {name: comparison.figure(strategy, corpus, name) for name in QUALITY}
            figures["base_language_rise"] = comparison.forgetting(strategy, corpus)
            means = {name: figure.mean if figure else None for name, figure in figures.items()}
            rows.append({"strategy": f"{strategy}, {corpus} corpus", **means})
    return csv_text(rows, ("strategy", *QUALITY, "base_language_rise"))


def final_figures(comparison: Comparison) -> dict[str, float]:
    """Means for the comparison's own run, named by strategy and corpus."""
    told = {}
    for corpus in comparison.corpora:
        for strategy in comparison.strategies:
            for name in (*QUALITY, BASE_CODES):
                if figure := comparison.figure(strategy, corpus, name):
                    told[f"{strategy}/{corpus}/{name}"] = figure.mean
    return told


if __name__ == "__main__":
    sys.exit(run_command(main))
