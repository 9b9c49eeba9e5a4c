"""Training of TC-GRU with PyTorch Lightning: one fit, the best epoch by validation speakers."""

from __future__ import annotations

import copy
import logging
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as lightning
import numpy as np
import torch
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor

from unheard.errors import MachineError
from unheard.heads.augmentation import Augmentation, augmented
from unheard.heads.divergence import DivergenceError
from unheard.heads.examples import Examples
from unheard.heads.tcgru_network import TCGRUNetwork, buckets, padded

Record = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """How to train; the fields are those of the head (see ``heads/tcgru.py``)."""

    epochs: int
    patience: int
    batch: int
    learning_rate: float
    augmentation: Augmentation
    device: str
    seed: int


def train(network: TCGRUNetwork, rows: Examples, val: Examples | None, plan: Plan) -> list[Record]:
    """Train the network in place, and return one record an epoch.

    With validation rows, training stops when ``patience`` epochs brought nothing better, and the network is left
    as the best epoch made it: highest UAR, lowest loss among equals. Without, all epochs are run and the last
    stays. The caller has seeded torch.
    """
    course = _Course(network, rows, plan)
    with _quiet():
        trainer = lightning.Trainer(
            accelerator="gpu" if plan.device == "cuda" else "cpu",
            devices=1,
            max_epochs=plan.epochs,
            callbacks=[_Interrupt()],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
        )
        held = _Batches(val, plan.batch, None) if val is not None else None
        trainer.fit(course, _Batches(rows, plan.batch, course.rng), held)
    if course.best is not None:
        network.load_state_dict(course.best)
    network.cpu().eval()
    return course.history


class _Course(lightning.LightningModule):
    """One training: batches by length, weighted cross-entropy, Adam."""

    class_weights: Tensor

    def __init__(self, network: TCGRUNetwork, rows: Examples, plan: Plan) -> None:
        super().__init__()
        # Steps are taken by hand, so that a batch too large for the memory can be done in parts.
        self.automatic_optimization = False
        self.network = network
        self.rows, self.plan = rows, plan
        self.part = plan.batch
        self.history: list[Record] = []
        self.best: dict[str, Tensor] | None = None
        counts = np.bincount(rows.labels, minlength=rows.classes)
        balanced = len(rows) / (rows.classes * counts)
        self.register_buffer("class_weights", torch.tensor(balanced, dtype=torch.float32))
        self.rng = np.random.default_rng([plan.seed, 1])
        self._losses: list[float] = []
        self._last: tuple[int, ...] = ()
        self._seen: list[tuple[Tensor, Tensor]] = []
        self._score, self._best_epoch = (0.0, 0.0), 0

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam with its usual moments."""
        return torch.optim.Adam(self.network.parameters(), lr=self.plan.learning_rate)

    def training_step(self, batch: dict[str, Any], _: int) -> None:
        """One step of Adam, with gradients summed over parts where the memory asks for it."""
        optimizer = self.optimizers()
        assert isinstance(optimizer, LightningOptimizer)
        self._last = tuple(batch["rows"])
        while True:
            optimizer.zero_grad()
            try:
                loss = self._backward(batch)
                break
            except (torch.OutOfMemoryError, RuntimeError) as error:
                self._halve(error, batch)
        if not np.isfinite(loss):
            raise DivergenceError(self.current_epoch, self._last)
        optimizer.step()
        self._losses.append(loss * len(batch["rows"]))

    def validation_step(self, batch: dict[str, Any], _: int) -> None:
        """Keep the scores; they are judged together at the end of the epoch."""
        self._seen.append((self.network(batch["frames"], batch["lengths"]), batch["labels"]))

    def on_train_epoch_end(self) -> None:
        """Note the losses and, with validation rows, their UAR."""
        record: Record = {"epoch": self.current_epoch, "train_loss": sum(self._losses) / len(self.rows)}
        self._losses.clear()
        if self._seen:
            logits = torch.cat([z for z, _ in self._seen])
            labels = torch.cat([y for _, y in self._seen])
            self._seen.clear()
            record["val_loss"] = float(torch.nn.functional.cross_entropy(logits, labels, self.class_weights))
            record["val_uar"] = _uar(labels.cpu().numpy(), logits.argmax(1).cpu().numpy())
            if not np.isfinite(record["val_loss"]):
                raise DivergenceError(self.current_epoch, self._last)
            self._judge(record)
        self.history.append(record)

    def _judge(self, record: Record) -> None:
        """Keep the weights of the best epoch, and stop when patience is over."""
        score = (record["val_uar"], -record["val_loss"])
        if self.best is None or score > self._score:
            self._score, self._best_epoch = score, record["epoch"]
            self.best = copy.deepcopy(self.network.state_dict())
        elif record["epoch"] - self._best_epoch >= self.plan.patience:
            self.trainer.should_stop = True

    def _backward(self, batch: dict[str, Any]) -> float:
        """Gradients of the batch's weighted mean loss, and its value."""
        frames = self.network.standardise(batch["frames"])
        frames = augmented(frames, batch["lengths"], self.plan.augmentation, self.rng)
        weight = self.class_weights[batch["labels"]]
        total = 0.0
        for start in range(0, len(weight), self.part):
            some = slice(start, start + self.part)
            logits = self.network.classify(frames[some], batch["lengths"][some])
            each = torch.nn.functional.cross_entropy(logits, batch["labels"][some], reduction="none")
            loss = (each * weight[some]).sum() / weight.sum()
            self.manual_backward(loss)
            total += float(loss.detach())
        return total

    def _halve(self, error: RuntimeError, batch: dict[str, Any]) -> None:
        if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise error
        frames = batch["frames"]
        if self.part == 1:
            raise MachineError(
                f"out of memory with one clip at a time, the batch's longest being {frames.shape[1]} frames of "
                f"{frames.shape[2]} dims; leave out or cut the longest clips, or take fewer frames a second"
            ) from error
        self.part = max(1, min(self.part, len(frames)) // 2)
        warnings.warn(
            f"out of memory: going on with {self.part} clips at a time", RuntimeWarning, stacklevel=2
        )


class _Interrupt(lightning.Callback):
    """Hands an interrupt on to the caller, where Lightning would end the process."""

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Raise it again."""
        if isinstance(exception, KeyboardInterrupt):
            raise exception


class _Batches:
    """An iterable over batches; iterating again gives other batches where there is an ``rng``."""

    def __init__(self, rows: Examples, size: int, rng: np.random.Generator | None) -> None:
        self.rows, self.size, self.rng = rows, size, rng
        self.lengths = [len(clip) for clip in rows.features]

    def __len__(self) -> int:
        return -(-len(self.rows) // self.size)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for numbers in buckets(self.lengths, self.size, self.rng):
            frames, lengths = padded([self.rows.features[i] for i in numbers])
            labels = torch.as_tensor(self.rows.labels[numbers])
            yield {"frames": frames, "lengths": lengths, "labels": labels, "rows": numbers}


def _uar(true: Any, answer: Any) -> float:
    return float(np.mean([(answer[true == c] == c).mean() for c in np.unique(true)]))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's remarks about itself off the terminal, and its hands off the signals."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    main = threading.current_thread() is threading.main_thread()
    kept: dict[int, Any] = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)} if main else {}
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # Remarks on loaders and on a GPU that is there and not asked for.
            warnings.filterwarnings("ignore", category=PossibleUserWarning)
            # Lightning's own use of something that torch is about to rename.
            warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\)")
            yield
    finally:
        logger.setLevel(level)
        for number, handler in kept.items():
            signal.signal(number, handler)
