import shutil

import pytest

from stages.core.params.shared import TrackingConfig
from stages.core.tracking.mlflow_store import open_store
from tests.tiny_store import lay_out


@pytest.fixture(scope="module")
def made_store(tmp_path_factory):
    """The file of a store that was made once: making one takes MLflow seconds."""
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        open_store(TrackingConfig(uri=f"sqlite:///{folder}/mlflow.db", experiment="another"))
    return folder / "mlflow.db"


@pytest.fixture
def client(tmp_path, monkeypatch, made_store):
    """A project folder with params and an empty store; gives a client of the store."""
    shutil.copy(made_store, tmp_path)
    return open_store(lay_out(tmp_path, monkeypatch))[0]


class Fault:
    """A full disk, from `begin` to `end`: methods of MLflow's client fail."""

    def __init__(self, patch):
        self.patch, self.end = patch, patch.undo

    def begin(self, *names):
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient

        def fail(*_, **__):
            raise MlflowException("(sqlite3.OperationalError) database or disk is full\n[SQL: COMMIT]")

        for name in names:
            self.patch.setattr(MlflowClient, name, fail)


@pytest.fixture
def fault(client):
    with pytest.MonkeyPatch.context() as patch:
        yield Fault(patch)
