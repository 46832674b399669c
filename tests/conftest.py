import pytest
from engine_project import EngineProject

from tests.faults.table import KILLS, MARKER, SEEN, Table

TABLE = pytest.StashKey[Table]()


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="every fault, and the table of them: `make faults`")


def pytest_configure(config):
    if config.getoption("--full"):
        config.stash[TABLE] = Table()
        config.pluginmanager.register(config.stash[TABLE], "faults-table")


def pytest_collection_modifyitems(config, items):
    asked = config.getoption("--full")
    left_out = [] if asked else [item for item in items if item.get_closest_marker("full")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
    if asked:
        for item in items:
            config.stash[TABLE].expect(item.nodeid, [mark.args for mark in item.iter_markers(MARKER)])


@pytest.fixture(scope="session")
def full(request):
    """Whether the whole matrix of faults is asked for, or as much as each run of the tests can bear."""
    return request.config.getoption("--full")


@pytest.fixture
def seen(record_property):
    """Tell the table of faults what was seen, and how many kills it was seen after."""
    def tell(what, kills=0):
        record_property(SEEN, what)
        if kills:
            record_property(KILLS, kills)

    return tell


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
