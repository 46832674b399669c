from dataclasses import dataclass

import pytest

from tests.faults.kills import lifetimes
from tests.faults.real_project import RealProject


@dataclass
class Undisturbed:
    """The real schedule as it ends when nothing disturbs it, the tree it started from, and its stages' seconds."""

    fresh: RealProject
    finished: RealProject
    seconds: dict[str, float]


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    fresh = RealProject.create(tmp_path_factory.mktemp("real") / "fresh")
    finished = fresh.copy(fresh.folder.with_name("finished"))
    return Undisturbed(fresh, finished, lifetimes(finished))
