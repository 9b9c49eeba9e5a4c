"""Salient layers of a fold, chosen on its training speakers, and the frames of what the folds chose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from unheard.errors import DataError
from unheard.extraction.saliency import salient
from unheard.protocols.fold import Fold, Protocol
from unheard.recipe_inputs.indexes import Indexes
from unheard.recipe_inputs.preparing import Encoders, Prepared, Progress, Say, of_layers, read_inputs
from unheard.recipes.recipe import Recipe
from unheard.runs.fitting import examples, wanted


def of_fold(
    recipe: Recipe, table: pl.DataFrame, fold: Fold, prepared: Prepared, indexes: Indexes | None = None
) -> tuple[Prepared, dict[str, Any]]:
    """Return what the head of one fold learns from, and what was chosen to get it.

    ``prepared`` comes from ``read_inputs``; it is already all where the recipe leaves no layer to choose.
    """
    layers = salient_layers(recipe, table, fold, prepared)
    if not layers:
        return prepared, {}
    chosen = {layer_key(name): layer for name, layer in layers.items()}
    return read_inputs(of_layers(recipe, layers), table, indexes=indexes), chosen


def prepare(
    recipe: Recipe,
    table: pl.DataFrame,
    protocol: Protocol,
    numbers: Sequence[int],
    prepared: Prepared,
    *,
    encoders: Encoders | None = None,
    indexes: Indexes | None = None,
    progress: Progress | None = None,
    say: Say | None = None,
) -> None:
    """Store the frames of the layers that the folds choose, so that fitting finds them."""
    several = [salient_layers(recipe, table, protocol.folds[number], prepared) for number in numbers]
    for layers in sorted({tuple(chosen.items()) for chosen in several if chosen}):
        read_inputs(
            of_layers(recipe, dict(layers)), table,
            encoders=encoders, indexes=indexes, progress=progress, say=say,
        )  # fmt: skip


def salient_layers(recipe: Recipe, table: pl.DataFrame, fold: Fold, pooled: Prepared) -> dict[str, int]:
    """Return, by input whose layer is to be chosen, the most salient one for the fold's training clips.

    Saliency is for the recipe's target: classes one against the rest, shares of votes, and dimensions.
    """
    asked = [name for name, own in recipe.inputs.items() if own.layer == "salient"]
    if not asked:
        return {}
    rows = examples(table, fold.train, pooled.inputs, wanted(recipe, table))
    if not len(rows):
        raise DataError("no training clip of a fold could be read and has what the target asks for")
    chosen = {}
    for name in asked:
        means = np.stack([clip[:, 0] for clip in rows.inputs[name]], axis=1)
        layers = [layer[:, :width] for layer, width in zip(means, pooled.widths[name], strict=True)]
        chosen[name] = salient(layers, rows.targets)
    return chosen


def layer_key(name: str) -> str:
    """Return under which key a fold records the layer that was chosen for an input before its head was fitted."""
    return f"{name}.layer"


def chosen_layers(recipe: Recipe, chosen: Mapping[str, Any]) -> dict[str, int]:
    """Return the layers that were chosen before the head, by input, of what a fold chose."""
    return {name: chosen[layer_key(name)] for name in recipe.inputs if layer_key(name) in chosen}
