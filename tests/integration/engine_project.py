"""A project with the real Snakefile, rules, profile, dvc.yaml and stamps, and stages that take milliseconds."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import yaml

from tests.params_file import edit_params

ROOT = Path(__file__).resolve().parents[2]
GIT = "git -c user.name=n -c user.email=e@example.org"
STAND_INS = ROOT / "tests" / "fixtures" / "engine_project"
REAL = (
    "Snakefile",
    "dvc.yaml",
    "compare/dvc.yaml",
    ".dvcignore",
    ".gitignore",
    "data/recordings/README.md",
    "workflow",
    "presets",
    "profiles",
    ".dvc/config",
    ".dvc/.gitignore",
)
REAL_CODE = (
    "undisturbed.py",
    "core/__init__.py",
    "core/errors.py",
    "core/params",
    "core/artifacts",
    "core/tracking",
    "gate_phase",
)
WHOLE_SCHEDULE = [
    "evaluate_speech@base",
    "evaluate_speech@full",
    "evaluate_speech@lora",
    "evaluate_speech@polish",
    "export_model",
    "extract_features",
    "finetune@full",
    "finetune@lora",
    "finetune@polish",
    "prepare_corpus",
    "report",
    "train_vocabulary",
]
COMPARISON_RUNS = [f"compare_strategies@{strategy}-{corpus}-1"
                   for strategy in ("hybrid", "lora") for corpus in ("large", "small")]


def lay_out(names: Iterable[str], folder: Path) -> None:
    """Copy files and folders of this project to their places in another."""
    for name in names:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, target)


class EngineProject:
    """One working tree, and the commands a user gives in it."""

    def __init__(self, folder: Path):
        self.folder = folder

    @classmethod
    def create(cls, folder: Path) -> "EngineProject":
        """Lay out the working tree; nothing has run in it."""
        folder.mkdir(parents=True)
        lay_out(REAL, folder)
        lay_out((f"stages/{room}" for room in REAL_CODE), folder)
        shutil.copytree(STAND_INS, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        project = cls(folder)
        project._lay_out_sources()
        subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
        return project

    def _lay_out_sources(self) -> None:
        """Put some content wherever dvc.yaml names a source."""
        stages = {**self.stages("dvc.yaml"), **self.stages("compare/dvc.yaml")}.values()
        for stage in stages:
            for dep in stage.get("do", stage)["deps"]:
                path = self.folder / dep
                if dep.startswith("stages/") and not path.exists():
                    source = path if path.suffix else path / "__main__.py"
                    source.parent.mkdir(parents=True, exist_ok=True)
                    source.write_text(f"# {dep}\n")
        (self.folder / "data" / "text").mkdir(parents=True)
        (self.folder / "data" / "text" / "amh.txt").write_text("ሰላም\n")
        base = self.folder / "data" / "base"
        base.mkdir(parents=True)
        for name in ("config.yaml", "model.safetensors"):
            (base / name).write_text(name)

    def stages(self, pipeline: str) -> dict:
        """Give the definitions of a dvc.yaml."""
        return yaml.safe_load((self.folder / pipeline).read_text())["stages"]

    def copy(self, folder: Path) -> "EngineProject":
        """Copy a tree that ran, with its cache and its locks."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return EngineProject(folder)

    def environment(self, **more: str) -> dict[str, str]:
        """The user's shell with the virtual environment activated."""
        kept = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
        path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
        return {**kept, "PATH": path, "PYTHONDONTWRITEBYTECODE": "1", **more}

    def start(self, command: str, **environment: str) -> subprocess.Popen:
        """Start a command in a process group of its own."""
        return subprocess.Popen(
            command.split(),
            cwd=self.folder,
            env=self.environment(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, command: str, status: int = 0, **environment: str) -> str:
        """Run a command to its end, check its exit status, give its output."""
        process = self.start(command, **environment)
        said, _ = process.communicate(timeout=170)
        assert process.returncode == status, said
        return said

    def snakemake(self, arguments: str = "--cores 8 all", **environment: str) -> list[str]:
        """Run Snakemake; give the stages that executed, sorted."""
        return self._executed_by(f"snakemake {arguments}", **environment)

    def dvc(self, arguments: str = "repro", **environment: str) -> list[str]:
        """Run DVC; give the stages that executed, sorted."""
        return self._executed_by(f"dvc {arguments}", **environment)

    def _executed_by(self, command: str, **environment: str) -> list[str]:
        before = len(self.executions())
        self.run(command, **environment)
        return sorted(line.split()[0] for line in self.executions()[before:])

    def executions(self) -> list[str]:
        """One line an execution: stage, start, end, OMP_NUM_THREADS."""
        path = self.folder / "executed.txt"
        return path.read_text().splitlines() if path.exists() else []

    def is_clean(self, pipeline: str = "dvc.yaml") -> bool:
        """Tell whether DVC sees nothing stale in a pipeline."""
        return "up to date" in self.run(f"dvc status {pipeline}")

    def plan(self, target: str = "all") -> list[str]:
        """Give the stages that Snakemake would run, sorted."""
        said = self.run(f"snakemake -n --quiet rules -- {target}") + self.run(f"snakemake --summary {target}")
        return sorted(
            line.split("\t")[0].rsplit("/", 1)[-1]
            for line in said.splitlines()
            if line.startswith(".pipeline/stamps/") and "no update" not in line
        )

    def edit_params(self, change) -> None:
        """Apply a function to the content of params.yaml."""
        edit_params(self.folder, change)


def set_polish_epochs(count: int) -> Callable[[dict], None]:
    """An edit of params.yaml that makes the last phase stale, and what depends on it."""
    return lambda params: params["phases"]["polish"].update(epochs=count)
