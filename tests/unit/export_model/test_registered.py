"""What becomes of an export in MLflow, in a store of its own."""

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import mlflow
import pytest

from stages.core.artifacts.files import write_text
from stages.core.errors import UserError
from stages.core.speaking.config import load_speaking_config
from stages.core.tracking.mlflow_runs import stage_run
from stages.export_model import registered
from stages.export_model.contents import SUMS, checksums
from tests.served_export import NAME, make_served_export, register

INSIDE = "artifacts/export"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A registered export, which then makes place for another."""
    folder = tmp_path_factory.mktemp("registered")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        export = make_served_export(folder)
        assert register(folder, export) == "1"
        yield folder


@pytest.fixture(scope="module")
def model(folder):
    """Where the version's files lie."""
    return Path(mlflow.artifacts.download_artifacts(f"models:/{NAME}/1"))


def test_large_files_are_linked_and_small_ones_copied(folder, model):
    for path in registered.files_of(folder / "export"):
        kept = model / INSIDE / path.relative_to(folder / "export")
        assert kept.read_bytes() == path.read_bytes()
        assert os.path.samefile(kept, path) == (path.stat().st_size >= registered.LARGE_BYTES)
    assert os.path.samefile(model / INSIDE / "gpt.safetensors", folder / "export/gpt.safetensors")


def test_a_version_outlives_the_export_and_holds_its_code_but_no_pickle(folder, model):
    weights = (model / INSIDE / "gpt.safetensors").read_bytes()
    shutil.move(folder / "export", folder / "replaced")
    shutil.rmtree(folder / "replaced")
    assert (model / INSIDE / "gpt.safetensors").read_bytes() == weights
    assert (model / "served.py").is_file() and (model / "code/stages/core/text/tables/policy.yaml").is_file()
    assert not [path for path in model.rglob("*") if path.suffix == ".pkl" or path.name == "__pycache__"]


def test_the_same_weights_exported_again_are_kept_once(folder, model):
    again = shutil.copytree(model / INSIDE, folder / "again")
    (again / "MODEL_CARD.md").write_text("another card")
    write_text(again / SUMS, checksums(again))
    assert register(folder, again) == "2"
    second = Path(mlflow.artifacts.download_artifacts(f"models:/{NAME}/2"))
    assert (second / INSIDE / "MODEL_CARD.md").read_text() == "another card"
    assert os.path.samefile(second / INSIDE / "gpt.safetensors", model / INSIDE / "gpt.safetensors")


def test_a_registered_file_that_is_damaged_is_not_handed_to_the_next_version(tmp_path, monkeypatch):
    monkeypatch.setattr(registered, "LARGE_BYTES", 3)
    export, models = tmp_path / "export", tmp_path / "models"
    export.mkdir()
    (export / "large").write_bytes(b"1234")
    write_text(export / SUMS, checksums(export))

    def add(name):
        location = models / name / "artifacts"
        shutil.copytree(export, location / INSIDE, ignore=shutil.ignore_patterns("large"))
        registered.add_large_files(SimpleNamespace(artifact_location=location.as_uri()), export, INSIDE)
        return location / INSIDE / "large"

    first = add("m-1")
    (export / "large").unlink()
    (export / "large").write_bytes(b"1234")
    assert os.path.samefile(add("m-2"), first)
    first.write_bytes(b"1x34")
    assert add("m-3").read_bytes() == b"1234"


def test_the_stage_s_run_and_the_version_name_each_other(folder):
    client = mlflow.MlflowClient()
    version = client.get_model_version(NAME, "1")
    run = client.get_run(version.run_id)
    assert run.info.run_name == "export_model" and run.data.tags[registered.TAG] == f"{NAME}/1"
    assert run.outputs.model_outputs[0].model_id == version.source.rsplit("/", 1)[-1]


def test_a_store_elsewhere_is_sent_the_large_files(tmp_path, monkeypatch):
    sent = []
    repository = SimpleNamespace(log_artifact=lambda path, folder: sent.append((Path(path).name, folder)))
    monkeypatch.setattr("mlflow.store.artifact.artifact_repository_registry.get_artifact_repository",
                        lambda address: repository if address == "s3://models/m-1" else None)
    monkeypatch.setattr(registered, "LARGE_BYTES", 3)
    (tmp_path / "sub").mkdir()
    (tmp_path / "small").write_bytes(b"12")
    (tmp_path / "sub/large").write_bytes(b"1234")
    write_text(tmp_path / SUMS, checksums(tmp_path))
    registered.add_large_files(SimpleNamespace(artifact_location="s3://models/m-1"), tmp_path, INSIDE)
    assert sent == [("large", f"{INSIDE}/sub")]


def test_a_store_that_refuses_is_one_error_that_says_how_to_go_without(folder, monkeypatch):
    def refuse(*_, **__):
        raise mlflow.exceptions.MlflowException("no registry here")

    monkeypatch.setattr(mlflow, "register_model", refuse)
    monkeypatch.setattr(registered, "log_export", lambda *_: SimpleNamespace(model_id="m-1"))
    with pytest.raises(UserError, match="registered_as.*no registry here; .*an empty name"), stage_run("x", {}) as run:
        registered.register_export(run, folder, NAME, load_speaking_config({}))
