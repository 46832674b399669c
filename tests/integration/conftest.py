import pytest
from engine_project import EngineProject


@pytest.fixture(scope="session")
def finished_project(tmp_path_factory):
    """A schedule that ran once, by Snakemake; tests take copies of it."""
    project = EngineProject.create(tmp_path_factory.mktemp("engines") / "finished")
    project.first_run = project.snakemake("--cores 8 all", STAGE_SECONDS="2", SLOW_STAGE="evaluate_speech")
    return project


@pytest.fixture
def project(finished_project, tmp_path):
    """A copy of the finished schedule, to edit and run again."""
    return finished_project.copy(tmp_path / "project")


@pytest.fixture
def fresh_project(tmp_path):
    """A working tree in which nothing has run."""
    return EngineProject.create(tmp_path / "project")
