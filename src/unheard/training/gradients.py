"""The gradient of a step whose batch may be too large for the memory: it is done in parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unheard.training.objective import Loss


@dataclass(frozen=True)
class Goal:
    """Targets of a batch, and how much they count; a mixture of clips (mixup) has two goals.

    Parameters
    ----------
    share
        Factor of the loss.
    targets
        Shape (n, width), one row a clip of the batch.
    whole
        Targets of all clips of the step, of which the batch may be a part.
    """

    share: float
    targets: Tensor
    whole: Tensor


def add_gradients(
    outputs_of: Callable[[slice], Tensor], size: int, goals: Sequence[Goal], loss: Loss
) -> float:
    """Add the gradients of a batch to those of the parameters, and return its loss.

    Parameters
    ----------
    outputs_of
        Computes the outputs (part, width) of a part of the batch.
    size
        Clips of a part.
    goals
        What the outputs are held against.
    loss
        A loss that is a sum over clips is taken part by part. Another needs all outputs at once: they are computed
        without gradients first, and again, with the same draws, for the gradient of each part.
    """
    count, width = goals[0].targets.shape
    parts = [slice(start, start + size) for start in range(0, count, size)]
    if len(parts) > 1 and not loss.is_sum(width):
        return _in_two_passes(outputs_of, parts, goals, loss)
    total = 0.0
    for some in parts:
        outputs = outputs_of(some)
        value = _value(outputs, goals, loss, some)
        value.backward()  # type: ignore[no-untyped-call]
        total += float(value.detach())
    return total


def _in_two_passes(
    outputs_of: Callable[[slice], Tensor], parts: Sequence[slice], goals: Sequence[Goal], loss: Loss
) -> float:
    drawn = _random_states()
    with torch.no_grad():
        outputs = torch.cat([outputs_of(some) for some in parts])
    outputs.requires_grad_()
    value = _value(outputs, goals, loss, slice(None))
    (gradient,) = torch.autograd.grad(value, outputs)
    _put_back(drawn)
    for some in parts:
        outputs_of(some).backward(gradient[some])  # type: ignore[no-untyped-call]
    return float(value.detach())


def _value(outputs: Tensor, goals: Sequence[Goal], loss: Loss, some: slice) -> Tensor:
    values = [goal.share * loss(outputs, goal.targets[some], goal.whole) for goal in goals]
    return torch.stack(values).sum() if len(values) > 1 else values[0]


def _random_states() -> tuple[Tensor, list[Tensor]]:
    return torch.get_rng_state(), torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []


def _put_back(states: tuple[Tensor, list[Tensor]]) -> None:
    cpu, cuda = states
    torch.set_rng_state(cpu)
    if cuda:
        torch.cuda.set_rng_state_all(cuda)
