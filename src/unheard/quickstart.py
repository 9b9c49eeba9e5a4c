"""The whole way once, on a small synthetic corpus: write, audit, run twice, compare, export, predict, report.

At its end the default model, where it is installed, predicts the same clip.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from unheard import corpora, protocols
from unheard.bundle.default import default_model, has_default_model
from unheard.bundle.runtime import Prediction, load
from unheard.comparison.compare import Comparison
from unheard.corpora.synthetic import MARKER, write
from unheard.errors import UsageError
from unheard.exporting.from_run import export
from unheard.recipe_inputs.preparing import Progress
from unheard.recipes.recipe import load as load_recipe
from unheard.runs.folder import Run
from unheard.runs.leakage_gap import premium
from unheard.runs.reporting import report
from unheard.runs.run import run

SPEAKERS = 12


@dataclass(frozen=True)
class Tour:
    """What the quickstart wrote and scored; ``default`` is None where no default model is installed."""

    leaky: Run
    independent: Run
    premium: Comparison
    bundle: Path
    clip: Path
    truth: str
    prediction: Prediction
    default: Prediction | None
    report: Path


def quickstart(
    out: str | os.PathLike[str], *, jobs: int = 1, force: bool = False, progress: Progress | None = None
) -> Tour:
    """Do everything once, in a folder of its own.

    The exported model is that of the first speaker-independent fold, and the clip that it predicts is one of a
    speaker whom that fold tests.
    """
    folder = Path(out)
    corpus = folder / "corpus"
    if folder.exists() and not force:
        raise UsageError(f"{folder} exists; choose another --out, or give --force to start again there")

    def clips(done: int, total: int) -> None:
        if progress is not None:
            progress("clips", done, total)

    if not (corpus / MARKER).is_file():
        write(corpus, speakers=SPEAKERS, progress=clips)
    table = corpora.read("synthetic", corpus)
    recipe = load_recipe("functionals")
    runs = {}
    for name in ("random-6", "group-6"):
        folds = protocols.make(name, table)

        def staged(stage: str, done: int, total: int, name: str = name) -> None:
            if progress is not None:
                progress(f"{name} {stage}", done, total)

        runs[name] = run(
            recipe, table, folds, folder / "runs" / name, jobs=jobs, force=force, progress=staged
        )
    independent = runs["group-6"]
    bundle = export(independent, folder / "bundle", fold=0, force=force)
    clip, truth = _held_out(independent)
    return Tour(
        leaky=runs["random-6"],
        independent=independent,
        premium=premium(runs["random-6"], independent),
        bundle=bundle,
        clip=clip,
        truth=truth,
        prediction=load(bundle).predict_file(clip),
        default=load(default_model()).predict_file(clip) if has_default_model() else None,
        report=report([independent, runs["random-6"]], folder / "report.html"),
    )


def _held_out(run: Run) -> tuple[Path, str]:
    """Return the first strong, emotional clip that fold 0 tests, and its label."""
    tested = run.table.filter(pl.col("id").is_in(list(run.protocol.folds[0].test)))
    row = tested.filter((pl.col("label") == "angry") & (pl.col("intensity") == "strong")).row(0, named=True)
    return Path(row["path"]), row["label"]
