"""LoRA through PEFT: adapters on the GPT's blocks, new vocabulary rows trained whole.

peft takes seconds to import, so it is imported where it is used.
"""

import fnmatch
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from stages.core.artifacts.files import read_json, write_json
from stages.core.errors import UserError
from stages.core.model.unified_voice import UnifiedVoice

if TYPE_CHECKING:
    from peft import PeftModel

ADAPTER_CONFIG = "adapter_config.json"
ROW_TABLES = ("text_embedding", "text_head")


def add_lora(model: UnifiedVoice, rank: int, alpha: int, dropout: float, targets: Sequence[str]) -> "PeftModel":
    """Wrap a model in place; the adapters and copies of the text tables are what is trained.

    Raises:
        UserError: a target matches no module; near names are listed.
    """
    from peft import LoraConfig, TaskType, get_peft_model

    config = LoraConfig(
        task_type=TaskType.FEATURE_EXTRACTION, r=rank, lora_alpha=alpha, lora_dropout=dropout, bias="none",
        target_modules=matching_modules(model, targets), modules_to_save=list(ROW_TABLES), fan_in_fan_out=True,
    )
    return get_peft_model(model, config)


def matching_modules(model: nn.Module, targets: Sequence[str]) -> list[str]:
    """Full names of the modules that the globs match; a plain name such as attn.c_attn matches in every block.

    PEFT itself reads list entries as suffixes, so that a glob would match nothing.
    """
    names = [name for name, module in model.named_modules() if name.startswith("gpt.h.") and hasattr(module, "weight")]
    matched: list[str] = []
    problems = []
    for target in targets:
        found = [name for name in names if fnmatch.fnmatch(name, target) or name.endswith(f".{target}")]
        if not found:
            near = get_close_matches(target, {name.split(".", 3)[-1] for name in names}, n=3, cutoff=0.3)
            problems.append(f"lora.targets: {target!r} matches no module; near: {', '.join(near) or 'none'}")
        matched += found
    if problems:
        raise UserError("; ".join(problems))
    return sorted(set(matched))


def is_text_table(name: str) -> bool:
    """Whether a parameter belongs to a table with a row for each text token."""
    return any(table in name for table in ROW_TABLES)


def save_adapter(wrapped: "PeftModel", folder: Path) -> None:
    """Write the adapter as plain PEFT reads it, its targets in order: PEFT keeps them as a set."""
    wrapped.save_pretrained(str(folder), safe_serialization=True, save_embedding_layers=False)
    config = read_json(folder / ADAPTER_CONFIG)
    write_json(folder / ADAPTER_CONFIG, {**config, "target_modules": sorted(config["target_modules"])})


def merge(wrapped: "PeftModel") -> dict[str, Tensor]:
    """Weights of the model with the adapters added, under the model's own names."""
    with torch.no_grad():
        return dict(wrapped.merge_and_unload().state_dict())
