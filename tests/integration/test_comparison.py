"""The comparison of strategies from texts to its table, by real stages on a tiny base, Snakemake, DVC and MLflow."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stages.core.artifacts.files import read_jsonl
from stages.core.params.shared import TrackingConfig
from stages.core.tracking.mlflow_store import PARENT_TAG, open_store
from tests.tiny_project import ROOT, make_project

ENGINES = ("Snakefile", "dvc.yaml", "compare/dvc.yaml", ".dvcignore", ".gitignore", "workflow", "profiles/default",
           ".dvc/config", ".dvc/.gitignore", "stages", "presets", "data/recordings/README.md")
TOKENS = 700
COMPARED = {"tokens": TOKENS, "seeds": [1], "corpora": {"small": 0.5, "large": 1.0}, "rate_factors": [],
            "compared": ["full", "hybrid"], "strategies": {
                "full": [{"like": "full", "tokens_share": 1.0}],
                "hybrid": [{"like": "lora", "tokens_share": 0.5}, {"like": "full", "tokens_share": 0.5}]}}


def command(folder, line):
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    done = subprocess.run(line.split(), cwd=folder, env={**kept, "PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A comparison that ran once."""
    folder = tmp_path_factory.mktemp("comparison")
    params = make_project(folder)
    params["compare_strategies"] |= COMPARED
    params["tracking"]["uri"] = f"sqlite:///{folder}/mlflow.db"
    (folder / "params.yaml").write_text(yaml.safe_dump(params, allow_unicode=True, sort_keys=False))
    for name in ENGINES:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        else:
            shutil.copy(ROOT / name, target)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    (folder / "said.txt").write_text(command(folder, "snakemake --cores 2 compare"))
    return folder


def run_metrics(project, name):
    return json.loads((project / "data/comparison/runs" / name / "metrics.json").read_text())


@pytest.mark.slow
def test_every_run_sees_the_same_tokens_to_within_a_step_by_the_phases_of_its_strategy(project):
    runs = {name: run_metrics(project, name) for name in
            ("full-small-1", "full-large-1", "hybrid-small-1", "hybrid-large-1")}
    for name, metrics in runs.items():
        largest = max(phase["tokens_seen"] / phase["steps"] for phase in metrics["phases"])
        assert TOKENS <= metrics["tokens_seen"] < TOKENS + 2 * largest, name
    assert [phase["approach"] for phase in runs["hybrid-large-1"]["phases"]] == ["lora", "full"]
    assert runs["hybrid-large-1"]["evaluation"].keys() >= {"code_cross_entropy", "base_language_cross_entropy"}
    assert runs["full-large-1"]["training_memory_gib"] is not None


@pytest.mark.slow
def test_the_small_corpus_lies_in_the_large_one_and_is_trained_on(project):
    small, large = (
        {row["id"] for row in read_jsonl(project / f"data/comparison/plan/{name}/index.jsonl")
         if row["role"] == "target" and row["split"] == "train"} for name in ("small", "large"))
    assert small and small < large
    epochs = {corpus: run_metrics(project, f"full-{corpus}-1")["phases"][0]["epochs"] for corpus in ("small", "large")}
    assert epochs["small"] > 1.3 * epochs["large"]


@pytest.mark.slow
def test_the_table_answers_the_claims_and_progress_was_told(project):
    table = (project / "data/comparison/table.md").read_text()
    assert "| held-out code cross-entropy, nats |" in table and "hybrid is better than full" in table
    told = json.loads((project / "data/comparison/table.json").read_text())
    assert told["strategies"]["large"]["hybrid"]["code_cross_entropy"]["mean"] == pytest.approx(
        run_metrics(project, "hybrid-large-1")["evaluation"]["code_cross_entropy"]["mean"])
    said = (project / "said.txt").read_text()
    assert "4 of 4 runs are there, ETA 0 min" in said
    held = {path.name for path in (project / ".resume/compare_strategies").rglob("*") if path.is_file()}
    assert held == {"curves.csv", "metrics.json", "run_id.txt"}
    assert not (project / "data/export").exists()


@pytest.mark.slow
def test_mlflow_holds_one_parent_with_a_run_each_on_one_axis_of_tokens(project, monkeypatch):
    monkeypatch.chdir(project)
    client, experiment = open_store(TrackingConfig(uri=f"sqlite:///{project}/mlflow.db",
                                                   experiment="amharic-indextts2"))
    runs = {run.info.run_name: run for run in client.search_runs([experiment])}
    parent = runs["comparison of full, hybrid"].info.run_id
    nested = {name for name, run in runs.items() if run.data.tags.get(PARENT_TAG) == parent}
    assert nested == {"full-small-1", "full-large-1", "hybrid-small-1", "hybrid-large-1"}
    assert not [name for name in runs if name.startswith("finetune")]
    steps = [point.step for point in client.get_metric_history(runs["hybrid-large-1"].info.run_id,
                                                               "validation_code_cross_entropy")]
    assert steps == sorted(steps) and steps[-1] == run_metrics(project, "hybrid-large-1")["tokens_seen"]
    final = runs["hybrid-large-1"].data.metrics["code_cross_entropy"]
    assert final == pytest.approx(run_metrics(project, "hybrid-large-1")["evaluation"]["code_cross_entropy"]["mean"])


@pytest.mark.slow
def test_nothing_is_left_to_do_and_the_schedule_was_not_run(project):
    assert "up to date" in command(project, "dvc status compare/dvc.yaml")
    assert not (project / "data/checkpoints/full").exists()
