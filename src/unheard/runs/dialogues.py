"""Turns that are read with a clip must lie on its own side of the test."""

from __future__ import annotations

import polars as pl

from unheard.errors import UsageError, first_five
from unheard.protocols.fold import Protocol
from unheard.recipes.recipe import Recipe


def check_dialogues(recipe: Recipe, table: pl.DataFrame, protocol: Protocol) -> None:
    """Refuse context where a dialogue is both tested and learned from: test clips would be read in training.

    Raises
    ------
    UsageError
        The input and the first such dialogues.
    """
    reading = [name for name, own in recipe.inputs.items() if own.context]
    if not reading or "dialogue" not in table.columns:
        return
    known = table.filter(pl.col("dialogue").is_not_null()).select("id", "dialogue")
    of_clip = dict(known.iter_rows())
    for number, fold in enumerate(protocol.folds):
        learned = {of_clip[i] for i in (*fold.train, *fold.val) if i in of_clip}
        both = sorted({of_clip[i] for i in fold.test if i in of_clip} & learned)
        if both:
            raise UsageError(
                f"inputs.{reading[0]}.context reads the turns before a clip, and {protocol.name} has the dialogue "
                f"{first_five(both)} both in test and in training of fold {number}: take context=0, or a protocol "
                "that keeps dialogues whole"
            )
