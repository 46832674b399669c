"""A project of the real stages, small enough to be run, killed and run again: every file of it is the project's own."""

import subprocess
from pathlib import Path

import yaml
from engine_project import REAL, EngineProject, lay_out

from tests.tiny_project import make_project


class RealProject(EngineProject):
    """One working tree of the real stages on a tiny base and a few sentences."""

    @classmethod
    def create(cls, folder: Path) -> "RealProject":
        """Lay out the working tree; nothing has run in it. Its phases train for seconds and save all the time."""
        folder.mkdir(parents=True)
        lay_out((*REAL, "stages"), folder)
        params = make_project(folder)
        for phase in params["phases"].values():
            phase |= {"epochs": 12}
        params["machine"] |= {"save_every_seconds": 0.1}
        params["tracking"] |= {"uri": "sqlite:///mlflow.db"}
        (folder / "params.yaml").write_text(yaml.safe_dump(params, allow_unicode=True, sort_keys=False))
        subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
        return cls(folder)

    def copy(self, folder: Path) -> "RealProject":
        """Copy the tree as it is."""
        return RealProject(super().copy(folder).folder)
