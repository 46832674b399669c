"""Which checkpoint a folder of data/checkpoints holds: a gate hands on a phase's, or another in its place."""

from pathlib import Path

from stages.core.artifacts.files import read_json, write_json

GATE_FILE = "gate.json"


def checkpoint_behind(folder: Path) -> str:
    """Name the checkpoint in a folder: the one that a gate put there, or the folder's own."""
    path = folder / GATE_FILE
    return str(read_json(path)["checkpoint"]) if path.is_file() else folder.name


def mark_handed_on(folder: Path, phase: str, checkpoint: str) -> None:
    """Say of a gate's folder whose gate it is, and whose checkpoint lies there.

    No limit and no figure stands here: what depends on the folder reruns when another checkpoint is handed on, and not
    when a limit was edited.
    """
    write_json(folder / GATE_FILE, {"phase": phase, "checkpoint": checkpoint})
