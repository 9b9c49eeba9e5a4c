"""Fine-tuning: what the training loop is told of an encoder and a head that learn from waveforms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unheard.training.examples import Examples
from unheard.training.gradients import Goal
from unheard.training.loop import Learner, Optimizer, OutputsOf, Processes, Step
from unheard.training.objective import Loss, Objective, class_weights
from unheard.training.schedule import share
from unheard.training.validation import metric_for
from unheard.tuning.batches import Batch, ahead, steps, steps_an_epoch, training_batch, waves_of
from unheard.tuning.inference import outputs_of
from unheard.tuning.network import TunedNetwork
from unheard.tuning.parameters import groups
from unheard.tuning.settings import Settings
from unheard.tuning.waves import padded


@dataclass(frozen=True)
class Plan:
    """What a training is told besides its rows.

    Parameters
    ----------
    settings
        How to train.
    epochs
        Largest number of epochs to run; the learning rates follow ``settings.epochs``, so that a training of
        fewer epochs repeats the first of a longer one.
    rate
        Hz of the waveforms.
    seed, threads
        Seed of everything random, and number of threads of torch on the CPU.
    identity
        Digest of settings and rows, for a state on disk.
    objective
        Loss of classes and of dimensions.
    """

    settings: Settings
    epochs: int
    rate: int
    seed: int
    threads: int
    identity: str
    objective: Objective


class Waveforms(Learner):
    """An encoder and its head on waveforms: AdamW with a rate for each layer, steps of several batches.

    With several processes each computes its own rows of every step, and draws by itself.
    """

    advice = "take training.checkpointing=true, a smaller training.longest, or tune fewer layers"

    def __init__(
        self, network: TunedNetwork, rows: Examples, val: Examples | None, plan: Plan, processes: Processes
    ) -> None:
        self.device = next(network.parameters()).device
        weights = class_weights(rows.targets[:, : rows.classes], balanced=True)
        loss = Loss(plan.objective, torch.tensor(weights, dtype=torch.float32, device=self.device))
        super().__init__(network, rows, val, loss, metric_for(rows.target, plan.settings.metric))
        self.plan, self.settings, self.processes = plan, plan.settings, processes
        self.targets = torch.tensor(rows.targets, dtype=torch.float32, device=self.device)

    def optimizer(self) -> Optimizer:
        """Return AdamW with a group for each layer."""
        return torch.optim.AdamW(groups(self.network, self.settings))

    def set_rates(self, optimizer: Optimizer, epoch: int, number: int) -> None:
        """Follow the schedule, each group from its own peak."""
        an_epoch = steps_an_epoch(len(self.rows), self.settings)
        step, total = epoch * an_epoch + number, self.settings.epochs * an_epoch
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * share(step, total, self.settings.warmup, self.settings.schedule)

    def steps(self, epoch: int) -> Iterator[Step]:
        """Yield the steps of an epoch, which does not depend on what was drawn in those before."""
        rank, count, plan = self.processes.rank, self.processes.count, self.plan
        drawn = np.random.SeedSequence([plan.seed, 3, epoch, rank])
        torch.manual_seed(int(drawn.generate_state(1)[0]))
        every = steps(len(self.rows), self.settings, plan.seed, epoch)
        waves = waves_of(self.rows)
        batches = ahead(
            training_batch(waves, rows[rank::count], self.settings, plan.rate, plan.seed, epoch)
            for rows in every
        )
        for rows, batch in zip(every, batches, strict=True):
            yield self._step(rows, batch)

    def _step(self, rows: list[int], batch: Batch) -> Step:
        def outputs_of(some: slice) -> Tensor:
            waves, lengths = padded(batch.waves[some])
            outputs: Tensor = self.network(waves.to(self.device), lengths.to(self.device))
            return outputs

        def compute() -> tuple[OutputsOf, list[Goal]]:
            return outputs_of, [Goal(1.0, self.targets[batch.rows], self.targets[rows])]

        longest = f"{len(batch.waves[-1]) / self.plan.rate:.1f} s" if batch.waves else "none"
        return Step(rows, len(batch.rows), compute, longest)

    def validation_outputs(self, part: int) -> Tensor:
        """Return outputs of the rows of this process, in the order of all."""
        assert self.val is not None
        outputs = torch.zeros(len(self.val), self.val.target.width, device=self.device)
        own = list(range(self.processes.rank, len(self.val), self.processes.count))
        if own:
            waves = waves_of(self.val)
            outputs[own] = outputs_of(self.network, waves, own, self.settings, self.plan.rate, part)
        return outputs

    def weights(self) -> dict[str, Tensor]:
        """Return what moves."""
        moving: dict[str, Tensor] = self.network.moving()
        return moving

    def put_back(self, weights: dict[str, Tensor]) -> None:
        """Put what moves back."""
        self.network.move(weights)
