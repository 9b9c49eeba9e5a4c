"""One training with PyTorch Lightning: from the start or from where a kill left it, on one device or several."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import lightning.pytorch as lightning
from torch.multiprocessing.spawn import ProcessRaisedException

from unheard.errors import MachineError
from unheard.training import checkpoint
from unheard.training.checkpoint import Progress
from unheard.training.divergence import DivergenceError
from unheard.training.examples import Examples
from unheard.training.loop import Interrupt, quiet
from unheard.tuning.loop import Course, Plan
from unheard.tuning.network import TunedNetwork


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
