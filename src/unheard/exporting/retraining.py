"""The model that is exported: a fold's own, or one retrained on all speakers with what the folds chose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from unheard.errors import UsageError, first_five
from unheard.heads import Model
from unheard.predictions.table import logits, shares, truth
from unheard.protocols.fold_assignment import LEAVE_CORPUS
from unheard.recipe_inputs.preparing import of_layers, read_inputs
from unheard.runs.fitting import examples, ids_of, load_head, named, temperature_of, unfitted, wanted
from unheard.runs.folder import Run
from unheard.runs.salient_layer import chosen_layers
from unheard.targets import class_numbers, majority


@dataclass(frozen=True)
class Trained:
    """A fitted head with what a bundle must say of it."""

    head: Model
    temperature: float
    speakers: list[str]
    ids: list[str]


def of_fold(run: Run, number: int, seed: int | None = None) -> Trained:
    """Return the model that one fold fitted; it was not trained on that fold's test speakers."""
    records = [r for r in run.folds() if r["fold"] == number and seed in (None, r["seed"])]
    if not records:
        raise UsageError(
            f"{run.folder} has no fold {number}" + ("" if seed is None else f" with seed {seed}")
        )
    record = records[0]
    fold = run.protocol.folds[number]
    ids = (*fold.train, *fold.val) if run.recipe.refit == "val" else fold.train
    speakers = run.table.filter(pl.col("id").is_in(list(ids)))["speaker"].drop_nulls().unique().sort()
    return Trained(
        load_head(run, run.recipe, record),
        record["temperature"],
        speakers.to_list(),
        list(ids),
    )


def on_speakers(run: Run, declared: Sequence[str] | None = None) -> Trained:
    """Retrain on the clips of the declared speakers (all, where None) with the lower median of what was chosen.

    The temperature is fitted on the pooled predictions of the folds that :func:`calibrating` returns (a model that
    was trained on everybody has nobody left to calibrate on).
    """
    recipe, table = run.recipe, run.table
    known = set(table["speaker"].drop_nulls())
    if declared is not None and set(declared) - known:
        raise UsageError(
            f"no speaker is called {first_five(sorted(set(declared) - known))}; there are {len(known)}"
        )
    folds = {i for fold in run.protocol.folds for part in fold for i in part}
    chosen = table if declared is None else table.filter(pl.col("speaker").is_in(list(declared)))
    head = unfitted(recipe, recipe.seeds[0])
    head.chosen_ = consensus([record["chosen"] for record in run.folds()])
    seen = of_layers(recipe, chosen_layers(recipe, head.chosen_))
    prepared = read_inputs(seen, chosen)
    enough = any if recipe.takes_missing else all
    used = [
        i for i in chosen["id"] if i in folds and enough(i in clips for clips in prepared.inputs.values())
    ]
    rows = examples(
        table, used, prepared.inputs, wanted(recipe, table), prepared.augmented, missing=recipe.takes_missing
    )
    val = calibrating(run)
    # As in the folds: of votes, the class with the largest share.
    kind = recipe.target.classes
    labels = (
        truth(val)
        if kind == "label"
        else class_numbers(majority(shares(val)) if kind == "majority" else shares(val))
    )
    temperature = temperature_of(recipe, logits(val), labels)
    speakers = table.filter(pl.col("id").is_in(ids_of(rows)))["speaker"].drop_nulls().unique().sort()
    with named(ids_of(rows)):
        fitted = head.refit(rows)
    return Trained(fitted, temperature, speakers.to_list(), ids_of(rows))


def calibrating(run: Run, fold: int | None = None) -> pl.DataFrame:
    """Return the predictions by which a bundle's temperature and threshold are chosen.

    Those of validation clips, of one fold or of all. Where the folds leave corpora out and the bundle learns from
    them all, those of the corpora left out instead: whoever asks it comes from elsewhere too, where models are
    right less often than among validation speakers of the corpora that taught them.
    """
    part = "test" if fold is None and run.protocol.name == LEAVE_CORPUS else "val"
    rows = run.predictions.filter((pl.col("part") == part) & pl.col("logits").is_not_null())
    return rows if fold is None else rows.filter(pl.col("fold") == fold)


def consensus(chosen: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the lower median of each chosen number, the commonest of each chosen name."""
    result: dict[str, Any] = {}
    for name in chosen[0]:
        values = [choice[name] for choice in chosen]
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            result[name] = sorted(values)[(len(values) - 1) // 2]
        else:
            listed = [str(value) for value in values]
            result[name] = values[int(np.argmax([listed.count(value) for value in listed]))]
    return result
