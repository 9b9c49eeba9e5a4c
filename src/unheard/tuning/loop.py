"""The course of a training: its steps, validation, the best epoch, and what is written down."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import numpy as np
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor

from unheard.errors import MachineError
from unheard.training import checkpoint
from unheard.training.checkpoint import Progress
from unheard.training.divergence import DivergenceError
from unheard.training.examples import Examples
from unheard.training.gradients import Goal, add_gradients
from unheard.training.objective import Loss, Objective, class_weights
from unheard.training.schedule import share
from unheard.training.validation import figure, metric_for
from unheard.tuning import processes
from unheard.tuning.batches import Batch, ahead, steps, steps_an_epoch, training_batch, waves_of
from unheard.tuning.inference import answers
from unheard.tuning.network import TunedNetwork
from unheard.tuning.parameters import groups
from unheard.tuning.settings import Settings
from unheard.tuning.waves import padded


@dataclass(frozen=True)
class Plan:
    """What a training is told besides its rows.

    Parameters
    ----------
    settings : how to train.
    epochs : to run at most; the learning rates follow ``settings.epochs``, so that a training of fewer epochs
        repeats the first of a longer one.
    rate : Hz of the waveforms.
    seed, threads : of everything drawn, and of torch on the CPU.
    identity : digest of settings and rows, for a state on disk.
    objective : loss of classes and of dimensions.
    """

    settings: Settings
    epochs: int
    rate: int
    seed: int
    threads: int
    identity: str
    objective: Objective


class Course(lightning.LightningModule):
    """One training. Steps are taken by hand: a batch too large for the memory is done in parts."""

    class_weights: Tensor

    def __init__(
        self,
        network: TunedNetwork,
        rows: Examples,
        val: Examples | None,
        plan: Plan,
        folder: Path | None,
        progress: Progress | None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.network, self.rows, self.val = network, rows, val
        self.plan, self.settings, self.folder = plan, plan.settings, folder
        self.resumed = progress is not None
        self.progress = progress or Progress(plan.identity, plan.settings.batch)
        self.best: dict[str, Tensor] | None = None
        if self.resumed and self.progress.best is not None:
            assert folder is not None
            self.best = checkpoint.weights_in(folder, self.progress, best=True)
        weights = class_weights(rows.targets[:, : rows.classes], balanced=True)
        self.register_buffer("class_weights", torch.tensor(weights, dtype=torch.float32))
        self.targets = torch.tensor(rows.targets, dtype=torch.float32)
        self.metric = metric_for(rows.target, self.settings.metric)
        self._loss = 0.0
        self._steps: list[list[int]] = []

    @property
    def epoch(self) -> int:
        """Number of the epoch in hand, those before a kill included."""
        return len(self.progress.history)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW with a group for each layer."""
        return torch.optim.AdamW(groups(self.network, self.settings))

    def train_dataloader(self) -> _Batches:
        """Batches of the epoch in hand."""
        return _Batches(self)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Leave it where it is: its parts are moved when their turn comes."""
        return batch

    def on_train_start(self) -> None:
        """Put back weights and optimiser after a kill."""
        torch.set_num_threads(self.plan.threads)
        if self.resumed:
            assert self.folder is not None
            self.network.move(checkpoint.weights_in(self.folder, self.progress, best=False))
            self.trainer.optimizers[0].load_state_dict(checkpoint.optimizer_in(self.folder, self.progress))

    def on_train_epoch_start(self) -> None:
        """Seed the epoch, so that it does not depend on what was drawn in those before."""
        drawn = np.random.SeedSequence([self.plan.seed, 3, self.epoch, self.global_rank])
        torch.manual_seed(int(drawn.generate_state(1)[0]))
        self.network.train()
        self._steps = steps(len(self.rows), self.settings, self.plan.seed, self.epoch)
        self._loss = 0.0

    def training_step(self, batch: Batch, number: int) -> None:
        """One step of AdamW on the gradient of the step's weighted mean loss."""
        optimizer = self.optimizers()
        assert isinstance(optimizer, LightningOptimizer)
        all_rows = self._steps[number]
        with processes.apart(self.trainer):
            while True:
                optimizer.zero_grad()
                try:
                    loss = self._backward(batch, all_rows)
                    break
                except (torch.OutOfMemoryError, RuntimeError) as error:
                    self._halve(error, batch)
        loss = processes.add_up(self.trainer, loss)
        if not np.isfinite(loss):
            self._diverged(all_rows)
        if self.settings.clip:
            moving = [value for group in optimizer.param_groups for value in group["params"]]
            torch.nn.utils.clip_grad_norm_(moving, self.settings.clip)
        self._set_rates(optimizer, number)
        optimizer.step()
        self._loss += loss * len(all_rows)

    def on_train_epoch_end(self) -> None:
        """Note losses and score, keep the best state, write everything down."""
        record: dict[str, Any] = {"epoch": self.epoch, "train_loss": self._loss / len(self.rows)}
        better = self._judge(record) if self.val is not None else False
        history = self.progress.history
        history.append(record)
        if better:
            self.progress.best = record["epoch"]
            self.best = {name: value.cpu().clone() for name, value in self.network.moving().items()}
        since = record["epoch"] - (self.progress.best or 0)
        tired = self.val is not None and since >= self.settings.patience
        self.progress.finished = tired or len(history) >= self.plan.epochs
        self.trainer.should_stop = self.progress.finished
        if self.folder is not None and self.global_rank == 0:
            checkpoint.save(self.folder, self.progress, self.network.moving(), self.trainer.optimizers[0])

    def _judge(self, record: dict[str, Any]) -> bool:
        """Note loss and score of the validation rows, and say whether no epoch was better."""
        assert self.val is not None
        own, count = self.global_rank, self.trainer.world_size
        seen = torch.zeros(len(self.val), self.val.target.width, device=self.device)
        mine = list(range(own, len(self.val), count))
        self.network.eval()
        if mine:
            part = self.progress.part
            seen[mine] = answers(self.network, waves_of(self.val), mine, self.settings, self.plan.rate, part)
        processes.summed(self.trainer, seen)
        targets = torch.tensor(self.val.targets, dtype=torch.float32, device=self.device)
        loss = float(Loss(self.plan.objective, self.class_weights)(seen, targets))
        if not np.isfinite(loss):
            self._diverged(self._steps[-1])
        key = f"val_{self.metric}"
        record["val_loss"] = loss
        record[key] = figure(seen.double().cpu().numpy(), self.val.targets, self.val.target, self.metric)
        if self.progress.best is None:
            return True
        best = self.progress.history[self.progress.best]
        return (record[key], -loss) > (best[key], -best["val_loss"])

    def _backward(self, batch: Batch, all_rows: list[int]) -> float:
        """Add up the gradients of a batch; its loss is its share of that of all rows of the step."""
        goal = Goal(1.0, self.targets[batch.rows].to(self.device), self.targets[all_rows].to(self.device))

        def outputs_of(some: slice) -> Tensor:
            waves, lengths = padded(batch.waves[some])
            outputs: Tensor = self.network(waves.to(self.device), lengths.to(self.device))
            return outputs

        loss = Loss(self.plan.objective, self.class_weights)
        return add_gradients(outputs_of, self.progress.part, [goal], loss)

    def _halve(self, error: RuntimeError, batch: Batch) -> None:
        if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise error
        seconds = len(batch.waves[-1]) / self.plan.rate
        if self.progress.part == 1:
            raise MachineError(
                f"out of memory with one clip at a time, the batch's longest being {seconds:.1f} s; take "
                "training.checkpointing=true, a smaller training.longest, or tune fewer layers"
            ) from error
        self.progress.part = max(1, min(self.progress.part, len(batch.rows)) // 2)
        warnings.warn(
            f"out of memory: going on with {self.progress.part} clips at a time", RuntimeWarning, stacklevel=2
        )

    def _set_rates(self, optimizer: LightningOptimizer, number: int) -> None:
        an_epoch = steps_an_epoch(len(self.rows), self.settings)
        step, total = self.epoch * an_epoch + number, self.settings.epochs * an_epoch
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * share(step, total, self.settings.warmup, self.settings.schedule)

    def _diverged(self, rows: list[int]) -> None:
        if self.folder is not None and self.trainer.world_size > 1 and self.global_rank == 0:
            self.progress.diverged = rows
            checkpoint.note(self.folder, self.progress)
        raise DivergenceError(self.epoch, tuple(rows))


class _Batches:
    """An iterable over the batches of the epoch in hand: of each step, the rows of this process."""

    def __init__(self, course: Course) -> None:
        self.course = course

    def __len__(self) -> int:
        return steps_an_epoch(len(self.course.rows), self.course.settings)

    def __iter__(self) -> Iterator[Batch]:
        course, plan, epoch = self.course, self.course.plan, self.course.epoch
        own, count = course.global_rank, course.trainer.world_size
        return ahead(
            training_batch(
                waves_of(course.rows), rows[own::count], course.settings, plan.rate, plan.seed, epoch
            )
            for rows in steps(len(course.rows), course.settings, plan.seed, epoch)
        )
