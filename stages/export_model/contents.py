"""What an export holds beside its card: weights, config.yaml, vocabulary, adapter, voices, the base's other files."""

import os
import re
import shutil
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from stages.core.artifacts.files import checksum, write_text
from stages.core.errors import UserError
from stages.core.model.base_files import base_files
from stages.core.model.checkpoint import FROZEN, WEIGHTS_FILE, read_tensors, save_tensors
from stages.core.model.settings import BaseSettings, read_settings
from stages.core.params.strict import read_params
from stages.core.speaking.prompts import VOICES, held_out_prompts
from stages.core.text.exported import FILE as TEXT_SETTINGS
from stages.core.text.tokenizer import Tokenizer

CARD, SUMS, ADAPTER = "MODEL_CARD.md", "SHA256SUMS", "adapter"
OWN = {CARD, SUMS, ADAPTER, TEXT_SETTINGS, VOICES}
UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
LICENCE = re.compile(r"(licen[cs]e|copying|notice|disclaimer)", re.IGNORECASE)
PIECES = re.compile(r"(\bnumber_text_tokens\s*:\s*)[0-9]+")


def write_model(base: Path, checkpoint: Path, vocabulary: Path, folder: Path, untouched: str) -> None:
    """Write everything that runs; what is written last is small, so that a full disk is met early.

    Raises:
        UserError: base, checkpoint and vocabulary do not belong together.
    """
    settings = read_settings(base)
    take_over(base, settings, folder, untouched)
    trained = read_tensors(checkpoint / WEIGHTS_FILE)
    rows = len(trained["text_embedding.weight"])
    check_vocabulary(base / settings.dataset.bpe_model, vocabulary / "bpe.model", rows, checkpoint)
    write_weights(place(folder, settings.gpt_checkpoint), {**read_frozen(base, settings), **trained})
    shutil.copyfile(vocabulary / "bpe.model", place(folder, settings.dataset.bpe_model))
    write_text(folder / "config.yaml", with_pieces(base / "config.yaml", rows - 1))
    if (checkpoint / ADAPTER).is_dir():
        # PEFT leaves an empty card there; the export has one of its own
        shutil.copytree(checkpoint / ADAPTER, folder / ADAPTER, ignore=shutil.ignore_patterns("README.md"))


def take_over(base: Path, settings: BaseSettings, folder: Path, untouched: str) -> None:
    """Copy or link the base's files that training does not change; what an export adds of its own is none of them.

    Licences are always copied. A link is a hard one: it outlives the base and stays whole when the export is moved.
    Across file systems there is none, and the file is copied.
    """
    written = {"config.yaml", settings.gpt_checkpoint, settings.dataset.bpe_model}
    for name in base_files(base):
        if name in written or name.split("/")[0] in OWN:
            continue
        take = link_file if untouched == "link" and not is_licence(name) else shutil.copyfile
        take((base / name).resolve(), place(folder, name))


def link_file(source: Path, target: Path) -> None:
    """Make a hard link, or a copy where none can be made."""
    try:
        os.link(source, target)
    except OSError:
        print(f"{source}: cannot be linked into {target.parent}, copied")
        shutil.copyfile(source, target)


def write_voices(corpus: Path, folder: Path, most: int) -> None:
    """Copy held-out recordings of so many speakers of the target language, each named by its speaker."""
    for prompt in held_out_prompts(corpus)[:most]:
        name = UNSAFE.sub("-", prompt.speaker)
        shutil.copyfile(prompt.path, place(folder, f"{VOICES}/{name}{prompt.path.suffix}"))


def is_licence(name: str) -> bool:
    """Whether a file at the top of a base states terms: LICENSE, LICENCE-2.txt, NOTICE, COPYING, DISCLAIMER."""
    return "/" not in name and LICENCE.match(name) is not None


def place(folder: Path, name: str) -> Path:
    """The path of a file in a folder that is being written."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def read_frozen(base: Path, settings: BaseSettings) -> dict[str, Tensor]:
    """The frozen encoders as the base's file holds them, their position tables included.

    Upstream loads strictly and asks for those tables (`*conditioning_encoder.embed.pos_enc.pe`); what it makes itself
    after loading (`inference_model.*`, `gpt.wte.*`) it refuses in a file, so that is left out.
    """
    tensors = read_tensors(base / settings.gpt_checkpoint)
    return {name: value for name, value in tensors.items() if name.startswith(FROZEN)}


def write_weights(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write in the container that the file's name asks for."""
    if path.suffix == ".safetensors":
        save_tensors(path, tensors)
    else:
        torch.save({name: tensors[name].contiguous() for name in sorted(tensors)}, path)
    path.chmod(0o644)  # safetensors keeps what it writes to its owner


def check_vocabulary(base: Path, vocabulary: Path, rows: int, checkpoint: Path) -> None:
    """Compare the text rows of a checkpoint [N + 1] with a vocabulary of N pieces that begins with the base's.

    Raises:
        UserError: they do not belong together.
    """
    old, new = (Tokenizer(path).processor for path in (base, vocabulary))
    if rows != len(new) + 1:
        raise UserError(f"{checkpoint / WEIGHTS_FILE}: {rows} text rows; {vocabulary} has {len(new)} pieces and needs "
                        f"{len(new) + 1}: the phase was trained with another vocabulary, run it again")
    moved = next((index for index in range(len(old)) if old.id_to_piece(index) != new.id_to_piece(index)), None)
    if moved is not None:
        raise UserError(f"{vocabulary}: piece {moved} is {new.id_to_piece(moved)!r}, {base} has "
                        f"{old.id_to_piece(moved)!r}: the vocabulary was made for another base")


def with_pieces(path: Path, pieces: int) -> str:
    """A config.yaml with `gpt.number_text_tokens` set, every other byte as it was where its layout allows that."""
    content: dict[str, Any] = read_params(path)
    content["gpt"]["number_text_tokens"] = pieces
    text = PIECES.sub(rf"\g<1>{pieces}", path.read_text(encoding="utf-8"))
    return text if yaml.safe_load(text) == content else yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def checksums(folder: Path) -> str:
    """SHA-256 of every file of a folder, in the form that `sha256sum --check` reads."""
    lines = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != SUMS:
            lines.append(f"{checksum(path)}  {path.relative_to(folder).as_posix()}\n")
    return "".join(lines)
