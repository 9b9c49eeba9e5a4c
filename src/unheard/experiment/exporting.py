"""From a run to a bundle."""

from __future__ import annotations

import os
from pathlib import Path

from unheard.bundle.export import export as write_bundle
from unheard.corpora.table import classes, corpus_of
from unheard.experiment.folder import Run
from unheard.experiment.retraining import of_fold, on_all_speakers


def export(run: Run, out: str | os.PathLike[str], *, fold: int | None = None, force: bool = False) -> Path:
    """Write the bundle of a run: retrained on all its speakers, or one fold's model as it was scored."""
    trained = on_all_speakers(run) if fold is None else of_fold(run, fold)
    licences = {"weights": run.table["licence"].drop_nulls().unique().sort().to_list()}
    return write_bundle(
        trained.head,
        run.recipe.features,
        classes(run.table),
        out,
        temperature=trained.temperature,
        training_speakers=trained.speakers,
        corpus=corpus_of(run.table),
        scores=run.scores,
        recipe=run.config,
        licences=licences,
        force=force,
    )
