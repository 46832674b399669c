"""Weights of the model: the base's whole file, and the trained part that each phase writes."""

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from stages.core.errors import UserError
from stages.core.model.conditioning import Conditioner
from stages.core.model.settings import BaseSettings, GptSettings, read_settings
from stages.core.model.unified_voice import UnifiedVoice

WEIGHTS_FILE = "model.safetensors"
FROZEN = ("conditioning_encoder.", "perceiver_encoder.", "emo_conditioning_encoder.", "emo_perceiver_encoder.",
          "emovec_layer.", "emo_layer.")
DERIVED = ("inference_model.", "gpt.wte.",
           "conditioning_encoder.embed.pos_enc.", "emo_conditioning_encoder.embed.pos_enc.")


def read_base_tensors(base: Path, settings: BaseSettings) -> dict[str, Tensor]:
    """Every tensor of the base's `gpt_checkpoint` in float32, without those that are derived from others.

    Raises:
        UserError: the file is missing, damaged, or holds anything but tensors.
    """
    tensors = read_tensors(base / settings.gpt_checkpoint)
    return {name: value for name, value in tensors.items() if not name.startswith(DERIVED)}


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a .safetensors or .pth file in float32; a pickle is read with weights_only."""
    if not path.is_file():
        raise UserError(f"{path}: missing weights")
    try:
        if path.suffix == ".safetensors":
            tensors = load_file(path)
        else:
            tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            tensors = tensors.get("model", tensors)
        return {name: value.float() for name, value in tensors.items()}
    except pickle.UnpicklingError:
        raise UserError(f"{path}: refused: damaged, or a pickle that holds more than tensors") from None
    except (SafetensorError, OSError, RuntimeError, AttributeError, ValueError) as error:
        raise UserError(f"{path}: not a weights file: {' '.join(str(error).split())[:200]}") from None


def load_exactly(module: nn.Module, tensors: dict[str, Tensor], source: str) -> None:
    """Copy tensors into a module; every key must match.

    Raises:
        UserError: lists all missing, unexpected and misshapen keys.
    """
    own = module.state_dict()
    problems = [f"missing {name}" for name in own if name not in tensors]
    problems += [f"unexpected {name}" for name in tensors if name not in own]
    problems += [
        f"{name} has shape {list(tensors[name].shape)}, config.yaml says {list(value.shape)}"
        for name, value in own.items() if name in tensors and tensors[name].shape != value.shape
    ]
    if problems:
        raise UserError(f"{source}: {len(problems)} wrong key(s)\n" + "\n".join(f"  {line}" for line in problems))
    module.load_state_dict(tensors)


def load_conditioner(base: Path, settings: BaseSettings) -> Conditioner:
    """The frozen encoders of a base, in evaluation mode."""
    tensors = {name: value for name, value in read_base_tensors(base, settings).items() if name.startswith(FROZEN)}
    conditioner = Conditioner(settings.gpt)
    load_exactly(conditioner, tensors, str(base / settings.gpt_checkpoint))
    return conditioner.eval().requires_grad_(False)


def load_base(base: Path) -> UnifiedVoice:
    """The trained part of an untouched base."""
    settings = read_settings(base)
    model = UnifiedVoice(settings.gpt)
    model.load_state_dict(read_trained_tensors(base, settings))
    return model


def read_trained_tensors(base: Path, settings: BaseSettings) -> dict[str, Tensor]:
    """The part of a base that fine-tuning changes, checked against its config.yaml."""
    tensors = read_base_tensors(base, settings)
    trained = {name: value for name, value in tensors.items() if not name.startswith(FROZEN)}
    load_exactly(UnifiedVoice(settings.gpt), trained, str(base / settings.gpt_checkpoint))
    return trained


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
