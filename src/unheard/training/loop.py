"""The one training loop: steps, validation, the best epoch, early stopping, and what is written after an epoch.

What is trained, and how a batch becomes outputs, a :class:`Learner` knows: a head on stored features
(:mod:`unheard.training.stored`), or an encoder with a head (:mod:`unheard.tuning.loop`).
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unheard.errors import MachineError
from unheard.training import checkpoint
from unheard.training.checkpoint import Progress
from unheard.training.divergence import DivergenceError
from unheard.training.examples import Examples
from unheard.training.gradients import Goal, add_gradients
from unheard.training.objective import Loss
from unheard.training.validation import check_known, figure

Optimizer = torch.optim.Optimizer
#: Computes the outputs (part, width) of a part of a batch.
OutputsOf = Callable[[slice], Tensor]


class Processes:
    """The processes that train together; here one alone, which sums nothing."""

    rank = 0
    count = 1

    def summed(self, values: Tensor) -> Tensor:
        """Return the sum of an array over the processes."""
        return values


@dataclass(frozen=True)
class Step:
    """One step of an epoch.

    Parameters
    ----------
    rows
        Numbers of all training rows of the step.
    size
        How many of them this process computes.
    compute
        Draws what training draws, and returns what computes outputs, and the goals that they are held against.
    longest
        What the longest clip is like, for an error of memory.
    """

    rows: Sequence[int]
    size: int
    compute: Callable[[], tuple[OutputsOf, Sequence[Goal]]]
    longest: str


class Learner(ABC):
    """What the loop trains.

    Parameters
    ----------
    network
        In place; on its device.
    rows, val
        Training rows, and validation rows where these choose the epoch.
    loss
        Loss of outputs against targets, on the network's device.
    metric
        Name of the figure that chooses the epoch (:mod:`unheard.training.validation`).
    """

    def __init__(self, network: Any, rows: Examples, val: Examples | None, loss: Loss, metric: str) -> None:
        if val is not None:
            check_known(val.targets, val.target, metric)
        self.network, self.rows, self.val, self.loss, self.metric = network, rows, val, loss, metric

    @abstractmethod
    def optimizer(self) -> Optimizer:
        """Make the optimiser of all that moves."""

    @abstractmethod
    def set_rates(self, optimizer: Optimizer, epoch: int, number: int) -> None:
        """Set the learning rates of step ``number`` of an epoch."""

    @abstractmethod
    def steps(self, epoch: int) -> Iterator[Step]:
        """Yield the steps of an epoch; what an epoch seeds is seeded here."""

    @abstractmethod
    def validation_outputs(self, part: int) -> Tensor:
        """Return the outputs (n, width) of the validation rows, ``part`` clips at a time, in eval mode.

        Rows that another process computes are zero.
        """

    @abstractmethod
    def weights(self) -> dict[str, Tensor]:
        """Return all that training changes, by name."""

    @abstractmethod
    def put_back(self, weights: dict[str, Tensor]) -> None:
        """Put back what :meth:`weights` returned."""

    #: What to do where one clip is too large for the memory.
    advice: str


@dataclass(frozen=True)
class Plan:
    """How long the loop goes on.

    Parameters
    ----------
    epochs
        Largest number of epochs to run.
    patience
        Epochs without anything better on validation rows after which training stops.
    clip
        Largest norm of a step's gradient; None: any.
    """

    epochs: int
    patience: int
    clip: float | None = None


def train(
    learner: Learner,
    plan: Plan,
    progress: Progress,
    folder: Path | None = None,
    processes: Processes | None = None,
) -> Progress:
    """Train in place, from where ``progress`` is, and return it finished.

    With validation rows the network is left as the best epoch made it: the highest figure, among equals the lowest
    loss. Without, all epochs are run and the last stays.

    Parameters
    ----------
    folder
        Where the state is written after every epoch and found again; None: nowhere.
    processes
        Those that share each step; None: this one alone.

    Raises
    ------
    DivergenceError
        The loss of a step, or of the validation rows, is not finite.
    MachineError
        Not enough memory for one clip.
    """
    run = _Run(learner, plan, progress, folder, processes or Processes())
    while not progress.finished:
        run.epoch()
    if run.best is not None:
        learner.put_back(run.best)
    return progress


class _Run:
    """One run of the loop: the optimiser, the best weights so far, and how far it is."""

    def __init__(
        self, learner: Learner, plan: Plan, progress: Progress, folder: Path | None, processes: Processes
    ) -> None:
        self.learner, self.plan, self.progress = learner, plan, progress
        self.folder, self.processes = folder, processes
        self.optimizer = learner.optimizer()
        self.best: dict[str, Tensor] | None = None
        self._last: Sequence[int] = ()
        if progress.history:
            assert folder is not None
            learner.put_back(checkpoint.weights_in(folder, progress, best=False))
            self.optimizer.load_state_dict(checkpoint.optimizer_in(folder, progress))
            if progress.best is not None:
                self.best = checkpoint.weights_in(folder, progress, best=True)

    def epoch(self) -> None:
        """Run one epoch, note losses and figure, keep the best weights, write everything down."""
        learner, progress, number = self.learner, self.progress, len(self.progress.history)
        learner.network.train()
        total = 0.0
        for step_number, step in enumerate(learner.steps(number)):
            self._last = step.rows
            total += self._step(step, number, step_number) * len(step.rows)
        record: dict[str, Any] = {"epoch": number, "train_loss": total / len(learner.rows)}
        if learner.val is not None:
            self._validate(record, learner.val)
        progress.history.append(record)
        if learner.val is not None and self._is_best(record):
            progress.best = number
            self.best = {name: value.cpu().clone() for name, value in learner.weights().items()}
        tired = progress.best is not None and number - progress.best >= self.plan.patience
        progress.finished = tired or number + 1 >= self.plan.epochs
        if self.folder is not None and self.processes.rank == 0:
            checkpoint.save(self.folder, progress, learner.weights(), self.optimizer)

    def _step(self, step: Step, epoch: int, number: int) -> float:
        """Take one step, with gradients summed over parts where the memory asks for it, and return its loss."""
        while True:
            self.optimizer.zero_grad()
            try:
                loss = add_gradients(*self._computed(step), self.learner.loss) if step.size else 0.0
                break
            except (torch.OutOfMemoryError, RuntimeError) as error:
                self._halve(error, step)
        loss = self._add_up(loss)
        if not np.isfinite(loss):
            self._diverged()
        if self.plan.clip is not None:
            torch.nn.utils.clip_grad_norm_(self._moving(), self.plan.clip)
        self.learner.set_rates(self.optimizer, epoch, number)
        self.optimizer.step()
        return loss

    def _computed(self, step: Step) -> tuple[OutputsOf, int, Sequence[Goal]]:
        outputs_of, goals = step.compute()
        return outputs_of, self.progress.part, goals

    def _validate(self, record: dict[str, Any], val: Examples) -> None:
        learner = self.learner
        learner.network.eval()
        outputs = self.processes.summed(learner.validation_outputs(self.progress.part))
        targets = torch.tensor(val.targets, dtype=torch.float32, device=outputs.device)
        record["val_loss"] = float(learner.loss.unsmoothed()(outputs, targets))
        if not np.isfinite(record["val_loss"]):
            self._diverged()
        found = outputs.double().cpu().numpy()
        record[f"val_{learner.metric}"] = figure(found, val.targets, val.target, learner.metric)

    def _is_best(self, record: dict[str, Any]) -> bool:
        if self.progress.best is None:
            return True
        key, best = f"val_{self.learner.metric}", self.progress.history[self.progress.best]
        return (record[key], -record["val_loss"]) > (best[key], -best["val_loss"])

    def _moving(self) -> list[Tensor]:
        return [value for group in self.optimizer.param_groups for value in group["params"]]

    def _add_up(self, loss: float) -> float:
        """Sum gradients and loss over the processes, each of which has computed its share of the step."""
        if self.processes.count == 1:
            return loss
        moving = self._moving()
        gradients = [torch.zeros_like(value) if value.grad is None else value.grad for value in moving]
        flat = self.processes.summed(torch.cat([gradient.reshape(-1) for gradient in gradients]))
        parts = torch.split(flat, [value.numel() for value in moving])
        for value, part in zip(moving, parts, strict=True):
            value.grad = part.view_as(value).clone()
        return float(self.processes.summed(torch.tensor(loss, dtype=torch.float64, device=flat.device)))

    def _halve(self, error: RuntimeError, step: Step) -> None:
        if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise error
        if self.progress.part == 1:
            raise MachineError(
                f"out of memory with one clip at a time, the batch's longest being {step.longest}; "
                f"{self.learner.advice}"
            ) from error
        self.progress.part = max(1, min(self.progress.part, step.size) // 2)
        warnings.warn(
            f"out of memory: going on with {self.progress.part} clips at a time", RuntimeWarning, stacklevel=2
        )

    def _diverged(self) -> None:
        rows = list(self._last)
        if self.folder is not None and self.processes.count > 1 and self.processes.rank == 0:
            # Another process reads it there: an error that leaves a process is a text and no more.
            self.progress.diverged = rows
            checkpoint.note(self.folder, self.progress)
        raise DivergenceError(len(self.progress.history), tuple(rows))
