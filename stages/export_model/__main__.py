"""The base's checkpoint folder with the new weights and vocabulary.

data/checkpoints/<phase>, data/vocabulary, base -> data/export/
    config.yaml       the base's, with the new vocabulary's length
    <gpt_checkpoint>  trained part and the base's frozen encoders, under upstream's names
    bpe.model         the extended vocabulary
    ...               every other file of the base, unchanged
    SHA256SUMS
"""

import hashlib
import shutil
import sys
from pathlib import Path

import torch
import yaml
from torch import Tensor

from stages.core.artifacts.files import output_folder, write_text
from stages.core.model.checkpoint import (
    FROZEN,
    WEIGHTS_FILE,
    load_conditioner,
    read_base_tensors,
    read_tensors,
    read_trained_tensors,
    save_tensors,
)
from stages.core.model.settings import read_settings
from stages.core.params.command import stage_parser
from stages.core.params.shared import BaseConfig
from stages.core.params.strict import load_section, read_params
from stages.core.tracking.mlflow_runs import stage_run
from stages.export_model.config import Config

CHECKPOINTS, VOCABULARY, OUTPUT = Path("data/checkpoints"), Path("data/vocabulary"), Path("data/export")


def main(argv: list[str] | None = None) -> int:
    stage_parser("export_model", __doc__).parse_args(argv)
    config, base = load_section(Config, "export_model"), Path(load_section(BaseConfig, "base").path)
    with stage_run("export_model", config.model_dump()) as run:
        with output_folder(OUTPUT) as folder:
            write_export(base, CHECKPOINTS / config.phase, folder)
            check_export(folder)
        sizes = [path.stat().st_size for path in OUTPUT.rglob("*") if path.is_file()]
        run.log_metrics({"export_bytes": sum(sizes)}, step=0)
        run.log_artifact(OUTPUT / "config.yaml")
    print(f"{OUTPUT}: {config.phase} in the layout of {base}")
    return 0


def write_export(base: Path, checkpoint: Path, folder: Path) -> None:
    """Write all files of the export."""
    settings = read_settings(base)
    shutil.copytree(base, folder, dirs_exist_ok=True)
    frozen = {name: value for name, value in read_base_tensors(base, settings).items() if name.startswith(FROZEN)}
    trained = read_tensors(checkpoint / WEIGHTS_FILE)
    write_weights(folder / settings.gpt_checkpoint, {**frozen, **trained})
    shutil.copyfile(VOCABULARY / "bpe.model", folder / settings.dataset.bpe_model)
    content = read_params(base / "config.yaml")
    content["gpt"]["number_text_tokens"] = len(trained["text_embedding.weight"]) - 1
    write_text(folder / "config.yaml", yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n"
            for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "SHA256SUMS"]
    write_text(folder / "SHA256SUMS", "".join(sums))


def write_weights(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write in the container that the file's name asks for."""
    if path.suffix == ".safetensors":
        save_tensors(path, tensors)
    else:
        torch.save({name: tensors[name].contiguous() for name in sorted(tensors)}, path)


def check_export(folder: Path) -> None:
    """Load what was written as the pipeline loads a base: every key accounted for.

    Raises:
        UserError: a key is missing, unexpected or misshapen.
    """
    settings = read_settings(folder)
    read_trained_tensors(folder, settings)
    load_conditioner(folder, settings)


if __name__ == "__main__":
    sys.exit(main())
