"""AdamW with decay on matrices only."""

from collections.abc import Mapping

import torch
from torch import nn

UNDECAYED = ("embedding", "emb.", "norm", "ln_", "bias", "text_head")


def build_optimiser(parameters: Mapping[str, nn.Parameter], weight_decay: float) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter, 2019) without decay on norms, biases and embeddings.

    `text_head` has no decay either: its base rows must keep their bytes while only new rows get a gradient.
    """
    plain = [value for name, value in parameters.items() if _is_undecayed(name, value)]
    decayed = [value for name, value in parameters.items() if not _is_undecayed(name, value)]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=0.0, betas=(0.9, 0.98), fused=True)


def _is_undecayed(name: str, value: nn.Parameter) -> bool:
    return value.ndim < 2 or any(mark in name for mark in UNDECAYED)
