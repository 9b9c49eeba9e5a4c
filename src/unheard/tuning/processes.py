"""What several training processes tell each other: gradients once a step, scores once an epoch.

Each process has its share of a step's clips, and its loss is that share of the step's weighted mean: sums over the
processes are what one process would have computed. With one process nothing happens here.
"""

from __future__ import annotations

import contextlib
from typing import Any

import torch
from torch import Tensor


def apart(trainer: Any) -> contextlib.AbstractContextManager[Any]:
    """Compute gradients without a word to the others: parts of a batch, and tries that the memory did not hold."""
    model = trainer.strategy.model
    if trainer.world_size == 1:
        return contextlib.nullcontext()
    alone: contextlib.AbstractContextManager[Any] = model.no_sync()
    return alone


def add_up(trainer: Any, loss: float) -> float:
    """Sum gradients and loss over the processes."""
    if trainer.world_size == 1:
        return loss
    for group in trainer.optimizers[0].param_groups:
        for value in group["params"]:
            if value.grad is None:
                value.grad = torch.zeros_like(value)
        flat = summed(trainer, torch.cat([value.grad.reshape(-1) for value in group["params"]]))
        parts = torch.split(flat, [value.numel() for value in group["params"]])
        for value, part in zip(group["params"], parts, strict=True):
            value.grad.copy_(part.view_as(value))
    device = trainer.strategy.root_device
    return float(summed(trainer, torch.tensor(loss, dtype=torch.float64, device=device)))


def summed(trainer: Any, values: Tensor) -> Tensor:
    """Sum an array over the processes, in place."""
    if trainer.world_size > 1:
        torch.distributed.all_reduce(values)
    return values
