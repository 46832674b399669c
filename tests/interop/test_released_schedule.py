"""The schedule on a released base's folder, to an export that upstream's class loads strictly."""

from importlib import import_module
from pathlib import Path

import pytest
import torch
import yaml

from stages.core.text.tokenizer import Tokenizer
from tests.interop.upstream import PACKAGE, import_package, needs_upstream
from tests.released_base import UPSTREAM_FEATURES
from tests.released_project import SCHEDULE, make_released_project, run_schedule

pytestmark = [pytest.mark.interop, pytest.mark.slow, needs_upstream]

UNNEEDED = (("evaluate_speech", "--phase", "lora"), ("evaluate_speech", "--phase", "full"), ("report",))


def test_the_export_of_the_schedule_loads_into_upstreams_class(tmp_path, monkeypatch):
    make_released_project(tmp_path, UPSTREAM_FEATURES, speakers=1)
    run_schedule(tmp_path, monkeypatch, [one for one in SCHEDULE if one not in UNNEEDED])
    config = yaml.safe_load(Path("data/export/config.yaml").read_text())
    import_package()
    model = import_module(f"{PACKAGE}.gpt.model_v2").UnifiedVoice(**config["gpt"])
    stored = torch.load("data/export/gpt.pth", weights_only=True)
    model.load_state_dict(stored.get("model", stored), strict=True)
    pieces = len(Tokenizer(Path("data/export") / config["dataset"]["bpe_model"]))
    assert model.text_embedding.num_embeddings == pieces + 1
