"""Three sources of different layouts, and speech in a base language, through real Snakemake, DVC and MLflow."""

import json

import pytest
import yaml
from engine_project import REAL, EngineProject, lay_out

from stages.core.artifacts.files import read_jsonl
from tests.corpora import readings, write_kaldi_segments, write_parquet, write_spreadsheet
from tests.tiny_project import make_project


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A whole project, its code included, with one phase of training."""
    folder = tmp_path_factory.mktemp("mixed") / "project"
    lay_out((*REAL, "stages"), folder)
    params = make_project(folder)
    english = params["prepare_corpus"]["sources"][1]
    params["prepare_corpus"]["sources"] = [
        write_kaldi_segments(folder, readings(14, ("m2", "f4"))), write_parquet(folder, readings(14, ("m4",))),
        write_spreadsheet(folder, readings(10, ("m6",))), english,
    ]
    params["phases"] = {"lora": params["phases"]["lora"]}
    params["export_model"]["phase"] = "lora"
    (folder / "params.yaml").write_text(yaml.safe_dump(params, allow_unicode=True, sort_keys=False))
    project = EngineProject(folder)
    project.run("git init -q")
    engine = project.start("snakemake --cores 2 all")
    said, _ = engine.communicate()
    assert engine.returncode == 0, said
    return project


def manifest(project):
    return read_jsonl(project.folder / "data/corpus/manifest.jsonl")


@pytest.mark.slow
def test_a_mix_of_sources_runs_to_an_export(project):
    rows = manifest(project)
    target = [row for row in rows if row["role"] == "target"]
    assert {row["source"] for row in target} == {"kaldi_segments", "parquet", "spreadsheet"}
    assert {row["speaker"] for row in target} == {
        "kaldi_segments-m2", "kaldi_segments-f4", "parquet-m4", "spreadsheet-m6"}
    splits = {}
    for row in target:
        splits.setdefault(row["text_normalised"], set()).add(row["split"])
    assert all(len(found) == 1 for found in splits.values()), "a sentence stands in two splits"
    assert set().union(*splits.values()) == {"train", "validation", "test"}
    metrics = json.loads((project.folder / "data/evaluation/lora/metrics.json").read_text())
    assert metrics["code_cross_entropy"]["mean"] > 0
    assert (project.folder / "data/export/gpt.safetensors").is_file()
    assert project.is_clean() and project.plan() == []
