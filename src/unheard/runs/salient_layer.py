"""The salient layer of a fold, chosen on its training speakers, and the frames of what the folds chose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from unheard.extraction.saliency import salient
from unheard.protocols.fold import Fold, Protocol
from unheard.runs.fitting import examples
from unheard.runs.preparing import Prepared, Progress, Say, of_layer, read_features
from unheard.runs.recipe import Recipe


def of_fold(
    recipe: Recipe, table: pl.DataFrame, sides: Fold, prepared: Prepared
) -> tuple[Prepared, dict[str, Any]]:
    """Return what the head of one fold learns from, and what was chosen to get it.

    ``prepared`` comes from ``read_features``; it is already all where the recipe leaves no layer to choose.
    """
    if recipe.layer != "salient":
        return prepared, {}
    layer = salient_layer(table, sides, prepared)
    return read_features(of_layer(recipe, layer), table), {"layer": layer}


def prepare(
    recipe: Recipe,
    table: pl.DataFrame,
    protocol: Protocol,
    numbers: Sequence[int],
    prepared: Prepared,
    *,
    progress: Progress | None = None,
    say: Say | None = None,
) -> None:
    """Keep the frames of the layers that the folds choose, so that fitting finds them."""
    if recipe.layer != "salient":
        return
    layers = {salient_layer(table, protocol.folds[number], prepared) for number in numbers}
    for layer in sorted(layers):
        read_features(of_layer(recipe, layer), table, progress=progress, say=say)


def salient_layer(table: pl.DataFrame, sides: Fold, pooled: Prepared) -> int:
    """Return the most salient entry for the labels of the fold's training clips (one against the rest)."""
    rows = examples(table, sides.train, pooled.inputs)
    (features,) = rows.inputs.values()
    means = np.stack([clip[:, 0] for clip in features], axis=1)
    entries = [entry[:, :width] for entry, width in zip(means, pooled.widths, strict=True)]
    return salient(entries, np.eye(rows.classes)[rows.labels])
