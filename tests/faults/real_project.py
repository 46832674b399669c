"""A project of the real stages, small enough to be run, killed and run again: every file of it is the project's own."""

import shutil
import subprocess
from pathlib import Path

from engine_project import REAL, ROOT, EngineProject

from tests.tiny_project import make_project


class RealProject(EngineProject):
    """One working tree of the real stages on a tiny base and a few sentences."""

    @classmethod
    def create(cls, folder: Path) -> "RealProject":
        """Lay out the working tree; nothing has run in it."""
        folder.mkdir(parents=True)
        generated = shutil.ignore_patterns("__pycache__")
        for name in (*REAL, "stages"):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, target, ignore=generated)
            else:
                shutil.copy(ROOT / name, target)
        make_project(folder)
        subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
        return cls(folder)
