"""From run folders to the page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from unheard.report.page import page
from unheard.report.system import System, other_weights
from unheard.runs.content import understood
from unheard.runs.folder import Run


def systems(runs: Sequence[Run]) -> list[System]:
    """Return what the page shows of each run; equal recipe names are told apart by protocol or folder."""
    return [
        System(
            name=name,
            results=run.scores,
            predictions=run.predictions,
            certificate=run.audit if (run.folder / "audit.json").is_file() else None,
            config=run.config,
            table=run.table,
            folder=str(run.folder),
            fits=run.folds(),
            provenance=run.provenance,
        )
        for name, run in zip(names(runs), runs, strict=True)
    ]


def report(
    runs: Sequence[Run], out: str | os.PathLike[str], *, paths: bool = False, audio: bool = False
) -> Path:
    """Write one page over the runs; ``paths`` and ``audio`` as in :func:`unheard.report.page.page`."""
    target = Path(out)
    with understood([run.folder for run in runs]):
        page(systems(runs), target, paths=paths, audio=audio)
    return target


def _name(run: Run) -> str:
    """Return the recipe's name, and the encoder that was run where it is not the recipe's own."""
    name = run.scores["recipe"] + ("+val" if run.scores["refit"] == "val" else "")
    weights = other_weights(run.config)
    return f"{name} with {' and '.join(weights)}" if weights else name


def names(runs: Sequence[Run]) -> list[str]:
    """Give the shortest names that differ: recipe, recipe on protocol, recipe in its folder."""
    recipe = [_name(run) for run in runs]
    protocol = [f"{name} on {run.scores['protocol']}" for name, run in zip(recipe, runs, strict=True)]
    short = [f"{name} in {run.folder.name}" for name, run in zip(recipe, runs, strict=True)]
    folder = [f"{name} in {run.folder}" for name, run in zip(recipe, runs, strict=True)]
    found = (recipe, protocol, short, folder)
    return next(names for names in found if len(set(names)) == len(names) or names is folder)
