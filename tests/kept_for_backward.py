"""What autograd keeps of a forward pass, counted."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks


def kept_for_backward(compute: Callable[[], Any], own: Iterable[Tensor]) -> int:
    """Bytes that autograd keeps of one forward pass, each storage once; those of `own` tensors do not count."""
    known = {id(tensor.untyped_storage()) for tensor in own}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if id(storage) not in known:
            kept[id(storage)] = storage
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        result = compute()
    del result
    return sum(storage.nbytes() for storage in kept.values())
