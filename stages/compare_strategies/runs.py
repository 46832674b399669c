"""What a run of the comparison is, and where its plan and its result lie."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.core.errors import UserError
from stages.core.params.strict import read_params

PLAN, RUNS = Path("data/comparison/plan"), Path("data/comparison/runs")


@dataclass(frozen=True)
class Run:
    """One training and its evaluation.

    Attributes:
        name: of its folder.
        tokens: supervised tokens, all phases together.
        rate_factor: on the learning rate of every phase.
        ends: phase -> tokens of the run after which it ends.
        approaches: of the phases.
        replays: whether any phase meets the base's languages.
    """

    name: str
    strategy: str
    corpus: str
    seed: int
    rate_factor: float
    tokens: int
    ends: dict[str, int]
    approaches: list[str]
    replays: bool


def read_run(name: str, folder: Path = PLAN) -> tuple[Run, dict[str, Any]]:
    """A run and the params file of its trainer.

    Raises:
        UserError: the plan holds no such run.
    """
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(planned_runs(folder)) or "nothing"
        raise UserError(f"{path}: no such run; the plan holds {known}")
    content = read_params(path)
    return Run(**content.pop("run")), content


def planned_runs(folder: Path = PLAN) -> list[str]:
    """Names of all runs."""
    return sorted(path.stem for path in folder.glob("*.yaml"))
