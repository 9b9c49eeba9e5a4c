"""Training of the networks over frames with PyTorch Lightning: one fit, the best epoch or the last."""

from __future__ import annotations

import copy
import logging
import signal
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import lightning.pytorch as lightning
import numpy as np
import torch
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor

from unheard.errors import MachineError
from unheard.training.augmentation import Augmentation, augmented, mixed
from unheard.training.batches import Batches
from unheard.training.divergence import DivergenceError
from unheard.training.gradients import Goal, add_gradients
from unheard.training.objective import Loss, Objective, class_weights
from unheard.training.schedule import share
from unheard.training.validation import figure, metric_for

Record = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """How to train.

    Parameters
    ----------
    epochs
        That the learning rate is planned for.
    learning_rate
        Its peak.
    device
        ``cpu`` or ``cuda``.
    metric, patience
        Of :mod:`unheard.metrics.categorical`, or without classes the mean CCC: with validation rows, the epoch of
        the highest is kept (lowest loss among equals), and training stops when so many epochs brought nothing
        better.
    objective
        Loss of classes and of dimensions.
    balanced
        Whether the cross-entropy gives every class the same total weight.
    weight_decay
        Of AdamW; None: Adam.
    warmup
        Share of all steps in which the learning rate rises, before it falls as a cosine; None: it stays.
    clip
        Largest norm of the gradient; None: any.
    smoothing
        Share of a target that is spread over all classes.
    crop
        Least share of a clip's frames to which it is cut at random; 1: whole clips.
    precision
        ``float32``; or ``bfloat16``, automatic mixed precision in training steps alone.
    augmentation
        Of standardised frames, for networks that standardise (``standardise`` and ``classify``); None: none.
    """

    epochs: int
    learning_rate: float
    device: str
    metric: str | None
    patience: int = 0
    objective: Objective = field(default_factory=Objective)
    balanced: bool = True
    weight_decay: float | None = None
    warmup: float | None = None
    clip: float | None = None
    smoothing: float = 0.0
    crop: float = 1.0
    precision: str = "float32"
    augmentation: Augmentation | None = None


def train(network: Any, rows: Batches, val: Batches | None, plan: Plan, epochs: int) -> list[Record]:
    """Train the network in place for at most ``epochs``, and return one record an epoch.

    With validation rows the network is left as the best epoch made it. Without, all epochs are run and the last
    stays. The caller has seeded torch; ``rows.rng`` draws batches and augmentation.
    """
    course = _Course(network, rows, plan)
    with quiet():
        trainer = lightning.Trainer(
            accelerator="gpu" if plan.device == "cuda" else "cpu",
            devices=1,
            max_epochs=epochs,
            callbacks=[Interrupt()],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
        )
        trainer.fit(course, rows, val)
    if course.best is not None:
        network.load_state_dict(course.best)
    network.cpu().eval()
    return course.history


class _Course(lightning.LightningModule):
    """One training: batches by length, cross-entropy, Adam or AdamW."""

    class_weights: Tensor

    def __init__(self, network: Any, batches: Batches, plan: Plan) -> None:
        super().__init__()
        # Steps are taken by hand, so that a batch too large for the memory can be done in parts.
        self.automatic_optimization = False
        self.network = network
        self.batches, self.rows, self.plan = batches, batches.rows, plan
        self.metric = metric_for(self.rows.target, str(plan.metric))
        self.part = batches.size
        self.history: list[Record] = []
        self.best: dict[str, Tensor] | None = None
        weights = class_weights(self.rows.targets[:, : self.rows.classes], balanced=plan.balanced)
        self.register_buffer("class_weights", torch.tensor(weights, dtype=torch.float32))
        self._losses: list[float] = []
        self._last: tuple[int, ...] = ()
        self._seen: list[tuple[Tensor, Tensor]] = []
        self._score, self._best_epoch, self._step = (0.0, 0.0), 0, 0

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam or AdamW with their usual moments."""
        parameters, rate = self.network.parameters(), self.plan.learning_rate
        if self.plan.weight_decay is None:
            return torch.optim.Adam(parameters, lr=rate)
        return torch.optim.AdamW(parameters, lr=rate, weight_decay=self.plan.weight_decay)

    def training_step(self, batch: dict[str, Any], _: int) -> None:
        """One step, with gradients summed over parts where the memory asks for it."""
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
        if self.plan.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.plan.clip)
        if self.plan.warmup is not None:
            steps = self.plan.epochs * len(self.batches)
            rate = self.plan.learning_rate * share(self._step, steps, self.plan.warmup, "cosine")
            for group in optimizer.param_groups:
                group["lr"] = rate
        optimizer.step()
        self._step += 1
        self._losses.append(loss * len(batch["rows"]))

    def validation_step(self, batch: dict[str, Any], _: int) -> None:
        """Keep the scores; they are judged together at the end of the epoch."""
        self._seen.append((self.network(batch["inputs"], batch["lengths"]), batch["targets"]))

    def on_train_epoch_end(self) -> None:
        """Note the losses and, with validation rows, their score."""
        record: Record = {"epoch": self.current_epoch, "train_loss": sum(self._losses) / len(self.rows)}
        self._losses.clear()
        if self._seen:
            outputs = torch.cat([found for found, _ in self._seen])
            targets = torch.cat([wanted for _, wanted in self._seen])
            self._seen.clear()
            record["val_loss"] = float(Loss(self.plan.objective, self.class_weights)(outputs, targets))
            record[f"val_{self.metric}"] = figure(
                outputs.double().cpu().numpy(), targets.double().cpu().numpy(), self.rows.target, self.metric
            )
            if not np.isfinite(record["val_loss"]):
                raise DivergenceError(self.current_epoch, self._last)
            self._judge(record)
        self.history.append(record)

    def _judge(self, record: Record) -> None:
        """Keep the weights of the best epoch, and stop when patience is over."""
        score = (record[f"val_{self.metric}"], -record["val_loss"])
        if self.best is None or score > self._score:
            self._score, self._best_epoch = score, record["epoch"]
            self.best = copy.deepcopy(self.network.state_dict())
        elif record["epoch"] - self._best_epoch >= self.plan.patience:
            self.trainer.should_stop = True

    def _backward(self, batch: dict[str, Any]) -> float:
        """Gradients of the batch's weighted mean loss, and its value."""
        inputs, lengths, targets, score = batch["inputs"], batch["lengths"], batch["targets"], self.network
        how, rng = self.plan.augmentation, self.batches.rng
        goals = [Goal(1.0, targets, targets)]
        if how is not None:
            assert rng is not None
            ((name, frames),) = inputs.items()
            own = lengths[name]
            frames = augmented(self.network.standardise(frames), own, how, rng)
            if how.mixup and rng.uniform() < how.mixup:
                own_share = rng.uniform()
                partners = torch.from_numpy(rng.permutation(len(targets))).to(targets.device)
                frames, own = mixed(frames, own, own_share, partners)
                other = targets[partners]
                goals = [Goal(own_share, targets, targets), Goal(1 - own_share, other, other)]
            inputs, lengths = {name: frames}, {name: own}

            def score(inputs: Mapping[str, Tensor], lengths: Mapping[str, Tensor]) -> Any:
                return self.network.classify(inputs[name], lengths[name])

        def outputs_of(some: slice) -> Tensor:
            mixed_precision = self.plan.precision == "bfloat16"
            with torch.autocast(targets.device.type, torch.bfloat16, enabled=mixed_precision):
                outputs: Tensor = score(_part(inputs, some), _part(lengths, some)).float()
            return outputs

        loss = Loss(self.plan.objective, self.class_weights, self.plan.smoothing)
        return add_gradients(outputs_of, self.part, goals, loss)

    def _halve(self, error: RuntimeError, batch: dict[str, Any]) -> None:
        if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise error
        frames = max(batch["inputs"].values(), key=torch.Tensor.numel)
        if self.part == 1:
            raise MachineError(
                f"out of memory with one clip at a time, the batch's longest being {frames.shape[-2]} frames of "
                f"{frames.shape[-1]} dims; leave out or cut the longest clips, or take fewer frames a second"
            ) from error
        self.part = max(1, min(self.part, len(frames)) // 2)
        warnings.warn(
            f"out of memory: going on with {self.part} clips at a time", RuntimeWarning, stacklevel=2
        )


def _part(tensors: Mapping[str, Tensor], some: slice) -> dict[str, Tensor]:
    return {name: tensor[some] for name, tensor in tensors.items()}


class Interrupt(lightning.Callback):
    """Hands an interrupt on to the caller, where Lightning would end the process."""

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Raise it again."""
        if isinstance(exception, KeyboardInterrupt):
            raise exception


@contextmanager
def quiet() -> Iterator[None]:
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
