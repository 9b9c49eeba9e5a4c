"""The training itself, with PyTorch Lightning: steps, validation, the best epoch, several devices."""

from __future__ import annotations

import contextlib
import tempfile
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
from torch.multiprocessing.spawn import ProcessRaisedException

from unheard.errors import MachineError
from unheard.heads.divergence import DivergenceError
from unheard.heads.examples import Examples
from unheard.heads.network_training import Interrupt, quiet
from unheard.heads.schedule import share
from unheard.metrics import categorical
from unheard.training import checkpoint
from unheard.training.answers import answers
from unheard.training.batches import Batch, steps, steps_an_epoch, training_batch
from unheard.training.checkpoint import Progress
from unheard.training.network import TunedNetwork
from unheard.training.settings import Settings
from unheard.training.tuning import groups
from unheard.training.waves import padded


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
    """

    settings: Settings
    epochs: int
    rate: int
    seed: int
    threads: int
    identity: str


def train(
    network: TunedNetwork, rows: Examples, val: Examples | None, plan: Plan, folder: Path | None
) -> Progress:
    """Train the network in place, from the start or from what ``folder`` holds.

    With validation rows, training stops when ``patience`` epochs brought nothing better, and the network is left
    as the best epoch made it. Without, all epochs are run and the last stays.

    Raises
    ------
    DivergenceError
        The loss of a step is not finite.
    MachineError
        Not enough memory for one clip, or a process of several died.
    DataError
        A folder with the state of another training.
    """
    with contextlib.ExitStack() as stack:
        if folder is None and plan.settings.devices > 1:
            # The processes that train hand back what they learned through files.
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="unheard-")))
        progress = checkpoint.progress_in(folder, plan.identity) if folder is not None else None
        if progress is None or not progress.finished:
            course = Course(network.train(), rows, val, plan, folder, progress)
            _run(course, plan, folder)
            if plan.settings.devices == 1:
                if course.best is not None:
                    network.move(course.best)
                network.cpu().eval()
                return course.progress
            assert folder is not None
            progress = checkpoint.progress_in(folder, plan.identity)
        assert folder is not None
        assert progress is not None
        network.cpu().eval().move(checkpoint.weights_in(folder, progress, best=True))
        return progress


def _run(course: Course, plan: Plan, folder: Path | None) -> None:
    settings = plan.settings
    with quiet():
        trainer = lightning.Trainer(
            accelerator="gpu" if settings.device == "cuda" else "cpu",
            devices=settings.devices,
            # Spawned: a process that ran the user's command again would start a second run.
            strategy="auto" if settings.devices == 1 else "ddp_spawn",
            max_epochs=plan.epochs - len(course.progress.history),
            callbacks=[Interrupt()],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
        )
        try:
            trainer.fit(course)
        except ProcessRaisedException as error:
            found = checkpoint.progress_in(folder, plan.identity) if folder is not None else None
            if found is not None and found.diverged:
                raise DivergenceError(len(found.history), tuple(found.diverged)) from None
            last = str(error).strip().splitlines()[-1]
            raise MachineError(f"one of {settings.devices} training processes failed: {last}") from error


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
        counts = np.bincount(rows.labels, minlength=rows.classes)
        balanced = len(rows) / (rows.classes * counts)
        self.register_buffer("class_weights", torch.tensor(balanced, dtype=torch.float32))
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
        weight = float(self.class_weights[torch.as_tensor(self.rows.labels[all_rows])].sum())
        with self._apart():
            while True:
                optimizer.zero_grad()
                try:
                    loss = self._backward(batch, weight)
                    break
                except (torch.OutOfMemoryError, RuntimeError) as error:
                    self._halve(error, batch)
        loss = self._add_up(loss)
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
        own, processes = self.global_rank, self.trainer.world_size
        seen = torch.zeros(len(self.val), self.val.classes, device=self.device)
        mine = range(own, len(self.val), processes)
        self.network.eval()
        if mine:
            found = answers(
                self.network, self.val.features, mine, self.settings, self.plan.rate, self.progress.part
            )
            seen[own::processes] = found
        if processes > 1:
            torch.distributed.all_reduce(seen)
        labels = torch.as_tensor(self.val.labels, device=self.device)
        loss = float(torch.nn.functional.cross_entropy(seen, labels, self.class_weights))
        if not np.isfinite(loss):
            self._diverged(self._steps[-1])
        given = seen.argmax(dim=1).cpu().numpy()
        counts = categorical.confusion(self.val.labels, given, self.val.classes)
        key = f"val_{self.settings.metric}"
        record["val_loss"] = loss
        record[key] = float(getattr(categorical, self.settings.metric)(counts))
        if self.progress.best is None:
            return True
        best = self.progress.history[self.progress.best]
        return (record[key], -loss) > (best[key], -best["val_loss"])

    def _backward(self, batch: Batch, weight: float) -> float:
        """Add up the gradients of the parts of a batch; the loss is their share of the step's weighted mean."""
        total = 0.0
        for start in range(0, len(batch.rows), self.progress.part):
            some = slice(start, start + self.progress.part)
            waves, lengths = padded(batch.waves[some])
            labels = torch.as_tensor(self.rows.labels[batch.rows[some]]).to(self.device)
            logits = self.network(waves.to(self.device), lengths.to(self.device))
            each = torch.nn.functional.cross_entropy(logits, labels, self.class_weights, reduction="sum")
            loss = each / weight
            self.manual_backward(loss)
            total += float(loss.detach())
        return total

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

    def _apart(self) -> contextlib.AbstractContextManager[Any]:
        """Gradients of several processes are added up once a step, by :meth:`_add_up`, not in each backward."""
        model = self.trainer.strategy.model
        if self.trainer.world_size == 1 or model is None:
            return contextlib.nullcontext()
        apart: contextlib.AbstractContextManager[Any] = model.no_sync()  # type: ignore[operator]
        return apart

    def _add_up(self, loss: float) -> float:
        """Sum gradients and loss over the processes: each has its share of the step's weighted mean."""
        if self.trainer.world_size == 1:
            return loss
        for group in self.trainer.optimizers[0].param_groups:
            for value in group["params"]:
                if value.grad is None:
                    value.grad = torch.zeros_like(value)
            flat = torch.cat([value.grad.reshape(-1) for value in group["params"]])
            torch.distributed.all_reduce(flat)
            parts = torch.split(flat, [value.numel() for value in group["params"]])
            for value, part in zip(group["params"], parts, strict=True):
                value.grad.copy_(part.view_as(value))
        total = torch.tensor(loss, dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(total)
        return float(total)

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
        course, plan = self.course, self.course.plan
        own, processes = course.global_rank, course.trainer.world_size
        for rows in steps(len(course.rows), course.settings, plan.seed, course.epoch):
            mine = rows[own::processes]
            yield training_batch(
                course.rows.features, mine, course.settings, plan.rate, plan.seed, course.epoch
            )
