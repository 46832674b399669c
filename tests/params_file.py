"""Edits of a params.yaml."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml


def edit_params(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Apply a function to the content of the params.yaml in a folder."""
    path = folder / "params.yaml"
    params = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(params)
    path.write_text(yaml.safe_dump(params, allow_unicode=True, sort_keys=False), encoding="utf-8")
