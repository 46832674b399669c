"""A released base's folder through the commands of docs/released-model.md to an export that upstream loads strictly.

A clone, the released preset, real Snakemake and DVC; the features are as wide as upstream's classes fix them.
"""

import json
import subprocess
from importlib import import_module
from pathlib import Path

import pytest
import torch
import yaml

from stages.core.text.tokenizer import Tokenizer
from tests.interop.upstream import PACKAGE, import_package, needs_upstream

pytestmark = [pytest.mark.interop, pytest.mark.slow, needs_upstream]

ROOT = Path(__file__).parents[2]
MAKE = ("make", "-o", ".venv/.complete")  # the environment stands, whatever the clone's dates say
COMMANDS = (
    (".venv/bin/python", "-m", "tests.released_base", "data/raw/indextts2"),
    (*MAKE, "preset", "NAME=indextts2"),
    (*MAKE, "preset", "NAME=tests/fixtures/released.yaml"),
    (".venv/bin/python", "-m", "stages.extract_features.doctor"),
    (*MAKE, "run", "CORES=2"),
)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clone") / "project"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    for command in COMMANDS:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    return folder


def test_the_export_of_the_schedule_loads_into_upstreams_class(project):
    export = project / "data/export"
    config = yaml.safe_load((export / "config.yaml").read_text())
    import_package()
    model = import_module(f"{PACKAGE}.gpt.model_v2").UnifiedVoice(**config["gpt"])
    stored = torch.load(export / "gpt.pth", weights_only=True)
    model.load_state_dict(stored.get("model", stored), strict=True)
    pieces = len(Tokenizer(export / config["dataset"]["bpe_model"]))
    assert model.text_embedding.num_embeddings == pieces + 1


def test_every_phase_learned_on_released_codes(project):
    phases = ("base", "lora", "full", "polish")
    metrics = [json.loads((project / f"data/evaluation/{phase}/metrics.json").read_text()) for phase in phases]
    losses = [figures["code_cross_entropy"]["mean"] for figures in metrics]
    assert losses == sorted(losses, reverse=True), "at random weights every phase lowers the loss"
    assert all(figures["phone_error_rate"] is None for figures in metrics)
