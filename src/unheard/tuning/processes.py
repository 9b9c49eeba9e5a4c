"""Several processes that train together, by Lightning Fabric.

Each process has its share of a step's clips, and its loss is that share of the step's: sums over the processes are
what one process would have computed.
"""

from __future__ import annotations

import copy
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.spawn import ProcessRaisedException

from unheard.errors import MachineError, need
from unheard.extraction.processes import end_with_parent
from unheard.training import checkpoint, loop
from unheard.training.checkpoint import Progress
from unheard.training.divergence import DivergenceError
from unheard.training.examples import Examples
from unheard.tuning.loop import Plan, Waveforms
from unheard.tuning.network import TunedNetwork


class Together(loop.Processes):
    """The processes that Fabric has started."""

    def __init__(self, fabric: Any) -> None:
        self.fabric, self.rank, self.count = fabric, fabric.global_rank, fabric.world_size

    def summed(self, values: Tensor) -> Tensor:
        """Return the sum of an array over the processes."""
        found: Tensor = self.fabric.all_reduce(values, reduce_op="sum")
        return found


def train_together(
    network: TunedNetwork, rows: Examples, val: Examples | None, plan: Plan, folder: Path, progress: Progress
) -> None:
    """Train on several devices; what was learned is left in ``folder``.

    Raises
    ------
    DivergenceError
        The loss of a step is not finite.
    MachineError
        One of the processes failed.
    """
    settings = plan.settings
    fabric = need("lightning.fabric", "train").Fabric(
        accelerator="gpu" if settings.device == "cuda" else "cpu",
        devices=settings.devices,
        # Spawned: a process that ran the user's command again would start a second run.
        strategy="ddp_spawn",
    )
    try:
        # Bound, not handed over: Fabric looks into what it hands over, and refuses frozen dataclasses there.
        fabric.launch(partial(_in_process, what=(network, rows, val, plan, folder, progress)))
    except ProcessRaisedException as error:
        found = checkpoint.progress_in(folder, plan.identity)
        if found is not None and found.diverged:
            raise DivergenceError(len(found.history), tuple(found.diverged)) from None
        last = str(error).strip().splitlines()[-1]
        raise MachineError(f"one of {settings.devices} training processes failed: {last}") from error


def _in_process(
    fabric: Any, what: tuple[TunedNetwork, Examples, Examples | None, Plan, Path, Progress]
) -> None:
    end_with_parent()
    network, rows, val, plan, folder, progress = what
    torch.set_num_threads(plan.threads)
    processes = Together(fabric)
    # What a process is handed on the CPU lies in memory that it shares with the others.
    own = copy.deepcopy(network).to(fabric.device)
    learner = Waveforms(own, rows, val, plan, processes)
    loop.train(learner, loop_plan(plan), progress, folder, processes)


def loop_plan(plan: Plan) -> loop.Plan:
    """Return what the loop is told."""
    return loop.Plan(plan.epochs, plan.settings.patience, plan.settings.clip or None)
