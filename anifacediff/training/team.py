"""Several processes that train one model, each on its share of every batch."""

import atexit
import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn

_PATIENCE = timedelta(minutes=30)


@dataclass(frozen=True)
class Team:
    """Who else works on this step.

    Attributes:
        rank: which of the processes this is, from 0; the first one saves, logs and reports.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def gathered(cls) -> "Team":
        """Join the processes that ``torchrun`` started, or be alone."""
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if size == 1:
            return cls()
        if not dist.is_initialized():
            dist.init_process_group("gloo", timeout=_PATIENCE)
            atexit.register(_part)
        return cls(dist.get_rank(), size)

    @property
    def leads(self) -> bool:
        """Whether this process saves, logs and reports."""
        return self.rank == 0

    @contextmanager
    def first(self) -> Generator[None]:
        """Let the first process through before the others, to prepare what they will find done."""
        if not self.leads:
            dist.barrier()
        yield
        if self.leads and self.size > 1:
            dist.barrier()

    def average(self, tensors: Iterable[torch.Tensor]) -> None:
        """Replace tensors by their mean over all processes."""
        tensors = list(tensors)
        if self.size == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        means = (flat / self.size).split([tensor.numel() for tensor in tensors])
        for tensor, mean in zip(tensors, means, strict=True):
            tensor.copy_(mean.view_as(tensor))

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace gradients by their mean over all processes, all of which have gradients of the same parameters."""
        self.average(parameter.grad for parameter in parameters if parameter.grad is not None)


def _part() -> None:
    """Leave the others in order: a process that merely ends may abort on its way out."""
    if dist.is_initialized():
        dist.destroy_process_group()
