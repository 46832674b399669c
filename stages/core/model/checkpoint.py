"""Weights of the model: the base's whole file, and the trained part that each phase writes."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from stages.core.artifacts.foreign import foreign_file
from stages.core.errors import UserError, one_line
from stages.core.model.conditioning import Conditioner
from stages.core.model.settings import BaseSettings, GptSettings, read_settings
from stages.core.model.unified_voice import UnifiedVoice

WEIGHTS_FILE = "model.safetensors"
FROZEN = ("conditioning_encoder.", "perceiver_encoder.", "emo_conditioning_encoder.", "emo_perceiver_encoder.",
          "emovec_layer.", "emo_layer.")
DERIVED = ("inference_model.", "gpt.wte.",
           "conditioning_encoder.embed.pos_enc.", "emo_conditioning_encoder.embed.pos_enc.")
NO_WEIGHTS = "not a weights file"
MOST_SHARING = 4
"""Upstream's trainers store the GPT under several names; a file whose tensors share more is a trap for memory."""
Wanted = Callable[[str], bool]
Module = TypeVar("Module", bound=nn.Module)


def every(name: str) -> bool:
    """Every key."""
    return True


def read_base_tensors(base: Path, settings: BaseSettings, wanted: Wanted = every) -> dict[str, Tensor]:
    """Tensors of the base's `gpt_checkpoint` in float32, without those that are derived from others.

    The whole file is accounted for, but only what is wanted is taken from the disk.

    Raises:
        UserError: the file is missing, damaged, holds anything but tensors, or keys do not fit; all at once.
    """
    path = base / settings.gpt_checkpoint
    stored = map_tensors(path)
    tensors = {name: value for name, value in stored.items() if not name.startswith(DERIVED)}
    if release := other_release(tensors):
        raise UserError(f"{path}: weights of {release}; only those of IndexTTS2 are read here: docs/released-model.md")
    check_keys(base_shapes(settings.gpt), tensors, str(path))
    if repeated := sorted({_prefix_of(name) for name in stored if name.startswith(DERIVED)}):
        print(f"{path}: left out, being made from the rest: {', '.join(f'{prefix}*' for prefix in repeated)}")
    return take_floats(tensors, path, wanted)


def _prefix_of(name: str) -> str:
    return next(prefix for prefix in DERIVED if name.startswith(prefix))


def other_release(names: Collection[str]) -> str:
    """Name the release of IndexTTS that weights belong to by their keys, where it is not IndexTTS2."""
    if any(name.startswith(("spk_emb_proj.", "lang_embedding.")) for name in names):
        return "IndexTTS 2.5"
    has_voice, has_emotion = (any(name.startswith(part) for name in names)
                              for part in ("conditioning_encoder.", "emo_conditioning_encoder."))
    return "IndexTTS 1 or 1.5" if has_voice and not has_emotion else ""


def base_shapes(settings: GptSettings) -> dict[str, torch.Size]:
    """Every key of a base's weights with its shape, trained and frozen."""
    with torch.device("meta"):
        parts = (UnifiedVoice(settings), Conditioner(settings))
    return {name: value.shape for part in parts for name, value in part.state_dict().items()}


def is_frozen(name: str) -> bool:
    """Whether a key belongs to the encoders that run once, at feature time."""
    return name.startswith(FROZEN)


def is_trained(name: str) -> bool:
    """Whether a key belongs to what fine-tuning changes."""
    return not is_frozen(name)


def read_tensors(path: Path, wanted: Wanted = every) -> dict[str, Tensor]:
    """Wanted tensors of a .safetensors or .pth file in float32; a pickle is read with weights_only."""
    return take_floats(map_tensors(path), path, wanted)


def take_floats(tensors: Mapping[str, Tensor], path: Path, wanted: Wanted) -> dict[str, Tensor]:
    """Wanted tensors of a file in float32."""
    with foreign_file(path, NO_WEIGHTS):
        return {name: value.float() for name, value in tensors.items() if wanted(name)}


def map_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors as the file holds them, mapped into memory: a page is read when it is used.

    Raises:
        UserError: the file is missing, damaged, or holds anything but tensors.
    """
    if not path.is_file():
        raise UserError(f"{path}: missing weights")
    with foreign_file(path, NO_WEIGHTS):
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        tensors = dict(content.get("model", content))
        if wrong := [name for name, value in tensors.items() if not (isinstance(name, str) and is_plain(value))]:
            raise ValueError(f"no tensor under {', '.join(map(str, wrong[:5]))}")
        if sum(value.nbytes for value in tensors.values()) > MOST_SHARING * path.stat().st_size:
            raise ValueError("its tensors claim to be larger than the file")
        return tensors


def is_plain(value: object) -> bool:
    """Whether a value is a tensor with its numbers: none of a kind that only describes them."""
    return isinstance(value, Tensor) and value.layout == torch.strided and value.device.type == "cpu"


def check_keys(shapes: Mapping[str, torch.Size], tensors: Mapping[str, Tensor], source: str) -> None:
    """Compare names and shapes.

    Raises:
        UserError: lists all missing, unexpected and misshapen keys.
    """
    problems = [f"missing {name}" for name in shapes if name not in tensors]
    problems += [f"unexpected {name}" for name in tensors if name not in shapes]
    problems += [
        f"{name} has shape {list(tensors[name].shape)}, config.yaml says {list(shape)}"
        for name, shape in shapes.items() if name in tensors and tensors[name].shape != shape
    ]
    if problems:
        lines = [f"  {one_line(problem)}" for problem in problems]
        raise UserError(f"{source}: {len(problems)} wrong key(s)\n" + "\n".join(lines))


def build_exactly(make: Callable[[], Module], tensors: dict[str, Tensor], source: str) -> Module:
    """Make a module that holds these tensors, once their shapes are known to be its own: it is no larger than they.

    Raises:
        UserError: lists all missing, unexpected and misshapen keys.
    """
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in make().state_dict().items()}
    check_keys(shapes, tensors, source)
    module = make()
    module.load_state_dict(tensors)
    return module


def load_exactly(module: nn.Module, tensors: dict[str, Tensor], source: str) -> None:
    """Copy tensors into a module; every key must match.

    Raises:
        UserError: lists all missing, unexpected and misshapen keys.
    """
    check_keys({name: value.shape for name, value in module.state_dict().items()}, tensors, source)
    module.load_state_dict(tensors)


def load_conditioner(base: Path, settings: BaseSettings) -> Conditioner:
    """The frozen encoders of a base, in evaluation mode."""
    tensors = read_base_tensors(base, settings, is_frozen)
    conditioner = Conditioner(settings.gpt)
    conditioner.load_state_dict(tensors)
    return conditioner.eval().requires_grad_(False)


def load_base(base: Path) -> UnifiedVoice:
    """The trained part of an untouched base."""
    settings = read_settings(base)
    tensors = read_trained_tensors(base, settings)
    model = UnifiedVoice(settings.gpt)
    model.load_state_dict(tensors)
    return model


def read_trained_tensors(base: Path, settings: BaseSettings) -> dict[str, Tensor]:
    """The part of a base that fine-tuning changes, checked against its config.yaml; the frozen part stays on disk."""
    return read_base_tensors(base, settings, is_trained)


def load_phase(folder: Path, settings: GptSettings, dropout: float = 0.0) -> UnifiedVoice:
    """The model that a phase (or the vocabulary stage, for `base`) wrote; its text rows decide the vocabulary."""
    tensors = read_tensors(folder / WEIGHTS_FILE)
    rows = len(tensors["text_embedding.weight"])
    model = UnifiedVoice(settings.model_copy(update={"number_text_tokens": rows - 1}), dropout)
    load_exactly(model, tensors, str(folder / WEIGHTS_FILE))
    return model


def save_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write tensors as safetensors, sorted by name, so that equal weights are equal bytes."""
    save_file({name: tensors[name].detach().cpu().contiguous() for name in sorted(tensors)}, path)
