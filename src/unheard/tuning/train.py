"""One fine-tuning: from the start or from where a kill left it, on one device or several."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

from unheard.training import checkpoint, loop
from unheard.training.checkpoint import Progress
from unheard.training.examples import Examples
from unheard.training.loop import Processes
from unheard.tuning.loop import Plan, Waveforms
from unheard.tuning.network import TunedNetwork
from unheard.tuning.processes import loop_plan, train_together


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
    settings = plan.settings
    with contextlib.ExitStack() as stack:
        if folder is None and settings.devices > 1:
            # The processes that train hand back what they learned through files.
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="unheard-")))
        found = None if folder is None else checkpoint.progress_in(folder, plan.identity)
        progress = found or Progress(plan.identity, settings.batch)
        if not progress.finished and settings.devices == 1:
            learner = Waveforms(network.to(settings.device), rows, val, plan, Processes())
            loop.train(learner, loop_plan(plan), progress, folder)
            network.cpu().eval()
            return progress
        assert folder is not None
        if not progress.finished:
            train_together(network, rows, val, plan, folder, progress)
            progress = checkpoint.progress_in(folder, plan.identity) or progress
        network.cpu().eval().move(checkpoint.weights_in(folder, progress, best=True))
        return progress
