"""Nested subsets of a fold's training clips, for learning curves: n clips a class, or n speakers.

One draw orders the clips of each class, or the speakers, by chance; a subset is the beginning of that order. So a
larger subset of a draw holds every smaller one, and whoever learns from a draw learns from the same clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from unheard.corpora.table import classes
from unheard.errors import ProtocolError, UsageError, first_five
from unheard.protocols.fold import Fold, Protocol

#: By what a training part is cut, in words.
UNITS = {"clips": "clips a class", "speakers": "speakers"}
#: The smallest number by itself: penalties are chosen over two speakers at least.
_SMALLEST = {"clips": 4, "speakers": 2}
_MOST_SIZES = 6


def largest(protocol: Protocol, table: pl.DataFrame, by: str, numbers: Sequence[int]) -> int:
    """Return the largest number that every one of the folds has.

    ``by`` is ``clips``: the clips of the rarest class; or ``speakers``: the training speakers.
    """
    names = classes(table)
    found: list[int] = []
    for number in numbers:
        rows = _labelled(table, protocol.folds[number])
        if by == "clips":
            counts = dict(rows["label"].cast(pl.String).value_counts().iter_rows())
            found.append(min(int(counts.get(name, 0)) for name in names))
        else:
            found.append(int(rows["speaker"].drop_nulls().n_unique()))
    return min(found)


def usual_sizes(most: int, by: str) -> list[int]:
    """Return the largest number, its half, its quarter …: six at most, none so small that it says nothing."""
    found = [most]
    while len(found) < _MOST_SIZES and found[-1] // 2 >= _SMALLEST[by]:
        found.append(found[-1] // 2)
    return found[::-1]


def subset(protocol: Protocol, table: pl.DataFrame, number: int, *, by: str, n: int, draw: int) -> Fold:
    """Return one fold of a protocol with a part of its training clips; validation and test stay as they are.

    Parameters
    ----------
    protocol, table, number
        Folds, their utterances, and the number of the fold.
    by, n
        ``clips``: n of each class, as far as they are labelled; ``speakers``: all labelled clips of n speakers.
    draw
        Number of the draw; the same draw of the same fold orders its clips in the same way.

    Raises
    ------
    UsageError
        The fold has fewer than n.
    ProtocolError
        The drawn speakers have no clip of some class.
    """
    fold = protocol.folds[number]
    rows = _labelled(table, fold)
    chance = np.random.default_rng([draw, number])
    if by == "clips":
        kept: list[str] = []
        for name in classes(table):
            own = rows.filter(pl.col("label") == name)["id"].sort().to_list()
            _enough(protocol, number, n, len(own), f"clips of the class {name}")
            kept += [own[place] for place in chance.permutation(len(own))[:n]]
    else:
        people = rows["speaker"].drop_nulls().unique().sort().to_list()
        _enough(protocol, number, n, len(people), "training speakers")
        drawn = [people[place] for place in chance.permutation(len(people))[:n]]
        spoken = rows.filter(pl.col("speaker").is_in(drawn))
        absent = sorted(set(classes(table)) - set(spoken["label"].cast(pl.String)))
        if absent:
            raise ProtocolError(
                f"{protocol.name}, fold {number}: the {n} speakers of draw {draw} ({first_five(drawn)}) have no "
                f"clip of {first_five(absent)}; take larger numbers of speakers, or --by clips"
            )
        kept = spoken["id"].to_list()
    return Fold(tuple(sorted(kept)), fold.val, fold.test)


def with_fold(protocol: Protocol, number: int, fold: Fold) -> Protocol:
    """Return the protocol with one of its folds replaced by a part of it."""
    folds = [fold if place == number else own for place, own in enumerate(protocol.folds)]
    return replace(protocol, folds=tuple(folds))


def _labelled(table: pl.DataFrame, fold: Fold) -> pl.DataFrame:
    return table.filter(pl.col("id").is_in(list(fold.train)) & pl.col("label").is_not_null())


def _enough(protocol: Protocol, number: int, n: int, there: int, what: str) -> None:
    if not 1 <= n <= there:
        raise UsageError(
            f"{protocol.name}, fold {number} has {there} {what}; a size is a number from 1 to that, found {n}"
        )
