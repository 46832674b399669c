"""The export as a version of a model in MLflow's registry: loaded and served without the project's folder.

The version holds the export, stages/core as it was (its front end must read text as the export's did), and what was
installed. No object of ours is pickled: MLflow runs a copy of stages/core/speaking/served.py.

In a store of local files the large files are hard links to those of data/export: nothing is copied, and they outlive
the export, which a later run replaces and never edits. What is small, and so might be edited by hand, is copied. A
store elsewhere is sent everything.
"""

import os
import shutil
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote, urlparse

import stages.core
from stages.core.artifacts.files import below, checksum
from stages.core.errors import UserError
from stages.core.speaking.config import SpeakingConfig
from stages.core.tracking.mlflow_runs import StageRun
from stages.export_model.contents import SUMS, link_file, place

NEEDED = ("torch", "torchaudio", "transformers", "sentencepiece", "protobuf", "safetensors", "pyyaml", "pydantic",
          "soundfile", "numpy", "pandas", "mlflow")
LARGE_BYTES = 1_000_000
TAG = "registered_model"


def register_export(run: StageRun, folder: Path, name: str, config: SpeakingConfig) -> str:
    """Log an export with a run and make it the next version of a registered model; give that version.

    Raises:
        UserError: the store refuses; the export itself is whole by then.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        model = log_export(run, folder, name, config)
        number = str(mlflow.register_model(f"models:/{model.model_id}", name).version)
    except (MlflowException, OSError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"export_model.registered_as: {folder} is written, but MLflow cannot register it as {name!r}: "
                        f"{reason}; run again when it can, or leave it out by an empty name") from error
    run.set_tag(TAG, f"{name}/{number}")
    return number


def log_export(run: StageRun, folder: Path, name: str, config: SpeakingConfig) -> Any:
    """Log the model without its large files, then put these in their place; give MLflow's record of it."""
    import mlflow
    from mlflow.entities import LoggedModelOutput

    client = mlflow.MlflowClient()
    model = client.create_logged_model(client.get_run(run.id).info.experiment_id, name, source_run_id=run.id)
    client.log_outputs(run.id, [LoggedModelOutput(model.model_id, step=0)])
    with TemporaryDirectory() as scratch, quiet_mlflow():
        from stages.core.speaking import served

        small, code = Path(scratch, served.EXPORT), Path(scratch, "stages")
        small.mkdir()
        for path in files_of(folder):
            if path.stat().st_size < LARGE_BYTES:
                shutil.copyfile(path, place(small, path.relative_to(folder).as_posix()))
        copy_code(code)
        mlflow.pyfunc.log_model(
            name=name, model_id=model.model_id, python_model=served.__file__, artifacts={served.EXPORT: str(small)},
            code_paths=[str(code)], signature=served.signature(config), model_config=config.model_dump(),
            pip_requirements=[f"{need}=={version(need)}" for need in NEEDED],
        )
    add_large_files(model, folder, f"artifacts/{served.EXPORT}")
    return model


@contextmanager
def quiet_mlflow() -> Iterator[None]:
    """Leave out the bars, and the calls for type hints and for an example, which the signature stands for."""
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def copy_code(target: Path) -> None:
    """Copy stages/core, without what Python leaves there."""
    core = Path(stages.core.__file__).parent
    shutil.copytree(core, target / core.name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(core.parent / "__init__.py", target / "__init__.py")


def add_large_files(model: Any, folder: Path, inside: str) -> None:
    """Link an export's large files into a logged model's folder, or send them where that is no folder."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    location = urlparse(model.artifact_location)
    is_local = location.scheme in ("", "file")
    kept = kept_files(Path(unquote(location.path)), inside) if is_local else {}
    for digest, name in read_sums(folder):
        path = folder / name
        if path.stat().st_size < LARGE_BYTES:
            continue
        if is_local:
            source = sound_file(kept.get(digest, []), digest) or path
            link_file(source, place(Path(unquote(location.path)), f"{inside}/{name}"))
        else:
            get_artifact_repository(model.artifact_location).log_artifact(str(path), str(Path(inside, name).parent))


def kept_files(location: Path, inside: str) -> dict[str, list[Path]]:
    """Digest -> files that are said to have it, of the models beside one, those that are one on disk once.

    An export made again with the same weights shares those.
    """
    found: dict[str, dict[int, Path]] = defaultdict(dict)
    for sums in location.parent.parent.glob(f"*/{location.name}/{inside}/{SUMS}"):
        for digest, name in read_sums(sums.parent):
            if (path := sums.parent / name).is_file():
                found[digest][path.stat().st_ino] = path
    return {digest: list(files.values()) for digest, files in found.items()}


def sound_file(files: Sequence[Path], digest: str) -> Path | None:
    """The first of some files that has a digest indeed: one damaged on disk is not handed on."""
    return next((path for path in files if checksum(path) == digest), None)


def read_sums(folder: Path) -> list[tuple[str, str]]:
    """Digest and name of every file of an export, the list of digests itself aside.

    Raises:
        UserError: a name leads out of the folder.
    """
    lines = (folder / SUMS).read_text(encoding="utf-8").rstrip("\n").split("\n")
    listed = [(digest, name) for digest, _, name in (line.partition("  ") for line in lines)]
    for _, name in listed:
        below(folder, name)
    return listed


def files_of(folder: Path) -> Iterator[Path]:
    """Every file of a folder, at any depth."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file())
