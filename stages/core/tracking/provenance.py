"""What a run was made from: the git commit, and DVC's hashes of the stage's data."""

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

UNKNOWN = "unknown"
PLACEHOLDER = re.compile(r"\$\{([a-z0-9_.]+)\}", re.IGNORECASE)


def git_commit() -> str:
    """Give the commit of the working tree, with '+changes' where tracked files differ from it; dvc.lock aside, which
    every run writes.
    """
    try:
        commit = run_git("rev-parse", "HEAD")
        changes = run_git("status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude,top)dvc.lock")
        return commit + ("+changes" if changes else "")
    except (OSError, subprocess.SubprocessError):
        return UNKNOWN


def run_git(*arguments: str) -> str:
    """Give the output of a git command, stripped."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.strip()


def data_hashes(stage: str, params: Mapping[str, Any], folder: Path = Path(".")) -> dict[str, str]:
    """Map each data dep of a stage to DVC's hash of it; 'unknown' where dvc.lock does not know it yet.

    When a stage starts, dvc.lock already holds the outputs of the stages before it; what it holds of the stage itself
    is of an earlier execution. A folder that several stages write to goes by what each wrote.

    Args:
        stage: the stage's name, such as finetune@lora or evaluate_speech@base.
        params: content of the params file, for the placeholders of dvc.yaml.
    """
    stages = read_stages(folder / "dvc.yaml")
    group, _, key = stage.partition("@")
    definition = stages.get(f"{group}_{key}") or stages.get(group) or {}
    values = {**params, "key": key, "item": item_of(definition, params, key)}
    deps = [substitute(dep, values) for dep in definition.get("do", definition).get("deps", [])]
    own = (stage, f"{group}_{key}")
    others = {name: entry for name, entry in read_stages(folder / "dvc.lock").items() if name not in own}
    known, made = locked_hashes(others, ("deps", "outs")), locked_hashes(others, ("outs",))
    found: dict[str, str] = {}
    for dep in deps:
        if not dep.startswith("stages/"):
            within = {path: digest for path, digest in made.items() if path.startswith(f"{dep}/")}
            found |= within if within and dep not in known else {dep: known.get(dep, UNKNOWN)}
    return found


def item_of(definition: Mapping[str, Any], params: Mapping[str, Any], key: str) -> Any:
    """Give what `foreach: ${section}` calls the item of a key."""
    match = PLACEHOLDER.fullmatch(str(definition.get("foreach", "")))
    return params.get(match[1], {}).get(key, {}) if match else {}


def read_stages(path: Path) -> dict[str, Any]:
    """Give the stages of a dvc.yaml or dvc.lock; none where the file is not there."""
    if not path.exists():
        return {}
    return (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("stages") or {}


def locked_hashes(stages: Mapping[str, Any], kinds: Sequence[str]) -> dict[str, str]:
    """Map every path that dvc.lock knows by one of the kinds to its hash; the last kind has the last word."""
    known = {}
    for kind in kinds:
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
