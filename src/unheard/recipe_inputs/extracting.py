"""An encoder's output for every clip of a table, computed ahead of any run: just what a recipe's run looks for."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from unheard.corpora.table import clips
from unheard.encoders import LazyEncoder
from unheard.errors import DataError, UsageError, first_five
from unheard.extraction.extract import BadClip, Extracted, Storage, extract
from unheard.files import FileDigests
from unheard.recipe_inputs.preparing import Progress, Say, augmentations, loaded, staged, storage_of
from unheard.recipes.recipe import Recipe


def of_recipe(recipe: Recipe, table: pl.DataFrame, **options: Any) -> Extracted:
    """Compute the output of a recipe's encoder, under each augmentation too; options as for :func:`of_encoder`.

    Raises
    ------
    UsageError
        The recipe stores nothing of an encoder, or has several.
    """
    if recipe.training is not None or not any(own.encoder for own in recipe.inputs.values()):
        raise UsageError(f"the recipe {recipe.recipe} stores nothing of an encoder")
    whole, encoders = loaded(recipe)
    name = whole.encoder_input()
    encoder, storage, say = encoders[name], storage_of(whole, name), options.get("say")
    options["digests"] = FileDigests()
    for what, how in augmentations(whole.inputs[name]):
        if say is not None:
            say(what)
        of_encoder(encoder, storage, table, **options, **how)
    return of_encoder(encoder, storage, table, **options)


def of_encoder(
    encoder: LazyEncoder | Mapping[str, Any],
    storage: Storage,
    table: pl.DataFrame,
    *,
    folder: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
    progress: Progress | None = None,
    say: Say | None = None,
    channel: int | None = None,
    **options: Any,
) -> Extracted:
    """Compute what an encoder gives for every clip of a table, as far as it is not stored.

    Parameters
    ----------
    encoder, storage
        The encoder or its settings; what of its output is stored, and how.
    table
        The utterances.
    folder
        Folder of stores; None for the cache, where runs look.
    jobs
        Threads that decode.
    channel
        Channel of recordings; None for the mean of all.
    progress, say
        Called as ``progress("layers", done, total)``, and with lines to show.
    options
        As for ``unheard.extraction.extract``: allow_truncated, speed, noise.
    """
    stored = extract(
        clips(table, channel),
        encoder,
        storage,
        folder=folder,
        jobs=jobs,
        progress=staged(progress, "layers"),
        say=say,
        **options,
    )
    if say is not None:
        for clip in stored.errors:
            say(f"left out: {clip.path}: {clip.reason}")
    return stored


def refuse_too_many_bad(bad: Sequence[BadClip], total: int, max_bad: float, more: str = "") -> None:
    """Raise a DataError, ended by ``more``, where a larger share of ``total`` clips than ``max_bad`` is bad."""
    if len(bad) > max_bad * total:
        listed = first_five(f"{clip.id} ({clip.reason})" for clip in bad)
        raise DataError(
            f"{len(bad)} of {total} recordings cannot be used, more than a share of {max_bad:g} "
            f"(--max-bad; max_bad in Python): {listed}{more}"
        )
