"""What a run was made from: the git commit, and DVC's hashes of the stage's data."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

UNKNOWN = "unknown"
PLACEHOLDER = re.compile(r"\$\{([a-z0-9_.]+)\}", re.IGNORECASE)


def git_commit() -> str:
    """Give the commit of the working tree, with '+changes' where tracked files differ from it."""
    try:
        commit = run_git("rev-parse", "HEAD")
        return commit + ("+changes" if run_git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return UNKNOWN


def run_git(*arguments: str) -> str:
    """Give the output of a git command, stripped."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.strip()


def data_hashes(stage: str, params: Mapping[str, Any], folder: Path = Path(".")) -> dict[str, str]:
    """Map each data dep of a stage to DVC's hash of it; 'unknown' where dvc.lock does not know it yet.

    When a stage starts, dvc.lock already holds the outputs of the stages before it, but not yet its own entry.

    Args:
        stage: the stage's name, such as finetune@lora or evaluate_speech@base.
        params: content of the params file, for the placeholders of dvc.yaml.
    """
    stages = read_stages(folder / "dvc.yaml")
    group, _, key = stage.partition("@")
    definition = stages.get(f"{group}_{key}") or stages.get(group) or {}
    values = {**params, "key": key, "item": params.get("phases", {}).get(key, {})}
    deps = [substitute(dep, values) for dep in definition.get("do", definition).get("deps", [])]
    known = locked_hashes(read_stages(folder / "dvc.lock"))
    return {dep: known.get(dep, UNKNOWN) for dep in deps if not dep.startswith("stages/")}


def read_stages(path: Path) -> dict[str, Any]:
    """Give the stages of a dvc.yaml or dvc.lock; none where the file is not there."""
    if not path.exists():
        return {}
    return (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("stages") or {}


def locked_hashes(stages: Mapping[str, Any]) -> dict[str, str]:
    """Map every path that dvc.lock knows to its hash; a path that a stage makes goes by the stage that made it."""
    known = {}
    for kind in ("deps", "outs"):
        for stage in stages.values():
            known.update({entry["path"]: entry.get("md5", UNKNOWN) for entry in stage.get(kind, [])})
    return known


def substitute(text: str, values: Mapping[str, Any]) -> str:
    """Fill in dvc.yaml's ${dotted.names}."""

    def value(match: re.Match[str]) -> str:
        found: Any = values
        for part in match.group(1).split("."):
            found = found.get(part, UNKNOWN) if isinstance(found, Mapping) else UNKNOWN
        return str(found)

    return PLACEHOLDER.sub(value, text)
