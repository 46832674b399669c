"""One training over several processes, as torchrun (or accelerate launch, Slurm's srun) starts them.

DDP copies the model to every process; FSDP (Zhao et al., 2023; PyTorch's fully_shard) shares its weights, gradients
and optimiser state between them, block by block.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from stages.core.training.objective import Objective

Parallelism = Literal["ddp", "fsdp"]


@dataclass(frozen=True)
class Processes:
    """This process among all that train together.

    Attributes:
        rank, count: 0-based number of this process, and how many there are.
        device: what this process computes on.
    """

    rank: int
    count: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def any_of(self, *flags: bool) -> list[bool]:
        """Whether each flag is raised on any process."""
        if self.count == 1:
            return list(flags)
        raised = torch.tensor([float(flag) for flag in flags], device=self.device)
        distributed.all_reduce(raised, distributed.ReduceOp.MAX)
        return [bool(value) for value in raised.tolist()]

    def total(self, values: Tensor) -> Tensor:
        """Sum of a tensor over all processes."""
        if self.count > 1:
            distributed.all_reduce(values)
        return values

    def from_main(self, value: Any) -> Any:
        """The main process's value, on every process."""
        if self.count == 1:
            return value
        held = [value]
        distributed.broadcast_object_list(held, device=self.device)
        return held[0]

    def wrap(self, objective: Objective, parallelism: Parallelism) -> nn.Module:
        """Make gradients those of the mean over all processes."""
        if self.count == 1:
            return objective
        if parallelism == "ddp":
            return DistributedDataParallel(objective, gradient_as_bucket_view=True)
        mesh = init_device_mesh(self.device.type, (self.count,))
        for block in objective.model.gpt.h:
            fully_shard(block, mesh=mesh)
        fully_shard(objective, mesh=mesh)
        return objective


@contextmanager
def gradients_of_last_part(wrapped: nn.Module, is_last: bool) -> Iterator[None]:
    """Let processes exchange gradients only after the last micro-batch of a step."""
    if isinstance(wrapped, DistributedDataParallel) and not is_last:
        with wrapped.no_sync():
            yield
        return
    if isinstance(wrapped, FSDPModule):
        wrapped.set_requires_gradient_sync(is_last)
    yield


@contextmanager
def join_processes() -> Iterator[Processes]:
    """Take the place that the launcher's environment gives; alone where nobody launched.

    A group of gloo's stays until the process ends: its destructor waits, with Python's lock held, for threads that may
    need that lock to let go of the last tensors, and the process would hang.
    """
    rank, count = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    if count == 1:
        yield Processes(0, 1, device)
        return
    distributed.init_process_group("nccl" if cuda else "gloo", device_id=device if cuda else None)
    try:
        yield Processes(rank, count, device)
    finally:
        if cuda:
            distributed.destroy_process_group()


def whole(value: Tensor) -> Tensor:
    """A tensor gathered from all processes if it is shared between them; all must call this together."""
    return value.full_tensor() if isinstance(value, DTensor) else value


def copy_whole(target: Tensor, source: Tensor) -> None:
    """Copy a gathered tensor into one that may be shared between processes."""
    source = source.to(target.device)
    if isinstance(target, DTensor):
        target.copy_(distribute_tensor(source, target.device_mesh, target.placements))
    else:
        target.copy_(source)


def zero_first_rows(value: Tensor, rows: int) -> None:
    """Set rows 0..rows of a tensor to zero, also of one that is shared between processes by rows."""
    if not isinstance(value, DTensor):
        value[:rows] = 0
        return
    first = -(-value.shape[0] // value.device_mesh.size()) * value.device_mesh.get_local_rank()
    value.to_local()[: max(0, rows - first)] = 0
