"""Training of a head's network on stored features, on one device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from unheard.training import loop
from unheard.training.augmentation import Augmentation, augmented, mixed
from unheard.training.batches import Batches
from unheard.training.checkpoint import Progress
from unheard.training.gradients import Goal
from unheard.training.loop import Learner, Optimizer, OutputsOf, Step
from unheard.training.objective import Loss, Objective, class_weights
from unheard.training.schedule import share
from unheard.training.validation import metric_for


@dataclass(frozen=True)
class Plan:
    """How to train.

    Parameters
    ----------
    epochs
        Number of epochs that the learning rate is planned for.
    learning_rate
        Peak of the learning rate.
    device
        ``cpu`` or ``cuda``.
    metric, patience
        Metric of :mod:`unheard.metrics.categorical`, or without classes the mean CCC: with validation rows, the
        epoch of the highest is kept (lowest loss among equals), and training stops when so many epochs brought
        nothing better.
    objective
        Loss of classes and of dimensions.
    balanced
        Whether the cross-entropy gives every class the same total weight.
    weight_decay
        Weight decay of AdamW; None takes Adam.
    warmup
        Share of all steps in which the learning rate rises, before it falls as a cosine; None: it stays.
    clip
        Largest norm of the gradient; None: any.
    smoothing
        Share of a target that is spread over all classes.
    crop
        Minimum share of a clip's frames to which it is cut at random; 1: whole clips.
    precision
        ``float32``; or ``bfloat16``, automatic mixed precision in training steps alone.
    augmentation
        Augmentation of standardised frames, for networks that standardise (``standardise`` and ``classify``);
        None: none.
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


def train(network: Any, rows: Batches, val: Batches | None, plan: Plan, epochs: int) -> Progress:
    """Train the network in place for at most ``epochs``, and return how that went.

    With validation rows the network is left as the best epoch made it. Without, all epochs are run and the last
    stays. The caller has seeded torch; ``rows.rng`` draws batches and augmentation.
    """
    network.to(plan.device)
    progress = loop.train(
        _StoredFeatures(network, rows, val, plan),
        loop.Plan(epochs, plan.patience, plan.clip),
        Progress("", rows.size),
    )
    network.cpu().eval()
    return progress


class _StoredFeatures(Learner):
    """Batches by length, Adam or AdamW, augmentation of standardised frames."""

    advice = "leave out or cut the longest clips, or take fewer frames a second"

    def __init__(self, network: Any, batches: Batches, val: Batches | None, plan: Plan) -> None:
        rows = batches.rows
        weights = class_weights(rows.targets[:, : rows.classes], balanced=plan.balanced)
        loss = Loss(
            plan.objective,
            torch.tensor(weights, dtype=torch.float32, device=plan.device),
            plan.smoothing,
        )
        metric = metric_for(rows.target, str(plan.metric))
        super().__init__(network, rows, None if val is None else val.rows, loss, metric)
        self.batches, self.val_batches, self.plan = batches, val, plan

    def optimizer(self) -> Optimizer:
        """Return Adam or AdamW with their usual moments."""
        parameters, rate = self.network.parameters(), self.plan.learning_rate
        if self.plan.weight_decay is None:
            return torch.optim.Adam(parameters, lr=rate)
        return torch.optim.AdamW(parameters, lr=rate, weight_decay=self.plan.weight_decay)

    def set_rates(self, optimizer: Optimizer, epoch: int, number: int) -> None:
        """Follow warm-up and cosine, where there is a warm-up."""
        if self.plan.warmup is None:
            return
        an_epoch = len(self.batches)
        part = share(epoch * an_epoch + number, self.plan.epochs * an_epoch, self.plan.warmup, "cosine")
        for group in optimizer.param_groups:
            group["lr"] = self.plan.learning_rate * part

    def steps(self, epoch: int) -> Iterator[Step]:
        """Yield a step for each batch."""
        for batch in self.batches:
            frames = max(batch["inputs"].values(), key=torch.Tensor.numel)
            longest = f"{frames.shape[-2]} frames of {frames.shape[-1]} dims"
            rows = batch["rows"]
            yield Step(rows, len(rows), lambda batch=batch: self._compute(batch), longest)  # type: ignore[misc]

    def validation_outputs(self, part: int) -> Tensor:
        """Return outputs in the order of the validation rows."""
        assert self.val_batches is not None
        rows = self.val_batches.rows
        outputs = torch.zeros(len(rows), rows.target.width, device=self.plan.device)
        with torch.inference_mode():
            for batch in self.val_batches:
                inputs, lengths = self._moved(batch["inputs"]), self._moved(batch["lengths"])
                outputs[batch["rows"]] = self.network(inputs, lengths)
        return outputs

    def weights(self) -> dict[str, Tensor]:
        """Return all of the network."""
        found: dict[str, Tensor] = self.network.state_dict()
        return found

    def put_back(self, weights: dict[str, Tensor]) -> None:
        """Load all of the network."""
        self.network.load_state_dict(weights)

    def _moved(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: tensor.to(self.plan.device) for name, tensor in tensors.items()}

    def _compute(self, batch: dict[str, Any]) -> tuple[OutputsOf, list[Goal]]:
        """Augment and mix a batch, and return what computes its outputs, and its goals."""
        inputs, lengths = self._moved(batch["inputs"]), self._moved(batch["lengths"])
        targets, score = batch["targets"].to(self.plan.device), self.network
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

        return outputs_of, goals


def _part(tensors: Mapping[str, Tensor], some: slice) -> dict[str, Tensor]:
    return {name: tensor[some] for name, tensor in tensors.items()}
