"""A project folder whose base is a released one, random weights at a small shape, and its whole schedule."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from stages.__main__ import main
from tests.released_base import make_released_base
from tests.tiny_project import make_project

BASE = Path("data/raw/indextts2")
SCHEDULE = [
    ("prepare_corpus",), ("train_vocabulary",), ("extract_features",), ("finetune", "--phase", "lora"),
    ("finetune", "--phase", "full"), ("finetune", "--phase", "polish"), ("evaluate_speech", "--phase", "base"),
    ("evaluate_speech", "--phase", "lora"), ("evaluate_speech", "--phase", "full"),
    ("evaluate_speech", "--phase", "polish"), ("export_model",), ("report",),
]


def make_released_project(folder: Path, features: int, speakers: int) -> None:
    """Write base, texts and params.yaml.

    Args:
        features: width of the base's speech features.
        speakers: of each language, at most two.
    """
    params = make_project(folder)
    for source in params["prepare_corpus"]["sources"]:
        source["speakers"] = source["speakers"][:speakers]
    make_released_base(folder / BASE, features)
    params["base"]["path"] = str(BASE)
    params["extract_features"] |= {"prompt_seconds_max": 1.0, "batch_seconds": 20.0, "shard_utterances": 16}
    (folder / "params.yaml").write_text(yaml.safe_dump(params, allow_unicode=True, sort_keys=False))


def run_schedule(folder: Path, patch: pytest.MonkeyPatch, commands: Sequence[tuple[str, ...]]) -> None:
    """Run stages in this process; the folder becomes the current one."""
    patch.chdir(folder)
    for command in commands:
        assert main(list(command)) == 0, command
