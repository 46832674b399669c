"""What torch itself holds, counted at the dispatcher: exact on any device, and on tensors without data.

Resident memory also holds what an allocator keeps back and what libraries pack for themselves; these counts do not.
"""

import weakref
from collections.abc import Iterable
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class HeldTensors(TorchDispatchMode):
    """Bytes of the storages that are alive while the mode is on.

    Attributes:
        held, peak: bytes now, and the most so far.
    """

    def __init__(self, already: Iterable[Tensor] = ()):
        super().__init__()
        self.held = self.peak = 0
        self.alive: set[int] = set()
        for tensor in already:
            self._count(tensor)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._count(leaf)
        return result

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if id(storage) in self.alive:
            return
        self.alive.add(id(storage))
        self.held += storage.nbytes()
        self.peak = max(self.peak, self.held)
        weakref.finalize(storage, self._forget, id(storage), storage.nbytes())

    def _forget(self, key: int, size: int) -> None:
        self.alive.discard(key)
        self.held -= size
