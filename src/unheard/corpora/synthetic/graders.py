"""Graders whose skill and disagreement are known, for tests of what learns from votes.

A clip is heard as its label, or, with probability ``ambiguity`` and by each grader anew, as one of the two classes
beside it in the order of the table (the last stands beside the first). Who has skill says what they heard with
probability ``reliability``, else any class at random; who has none says any class, whatever was heard.
"""

from __future__ import annotations

from zlib import crc32

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unheard.corpora.table import VOTE, classes
from unheard.errors import UsageError

Floats = NDArray[np.float64]


def graded(
    table: pl.DataFrame,
    *,
    graders: int = 5,
    reliability: float = 1.0,
    ambiguity: float = 0.0,
    unskilled: int = 0,
    seed: int = 0,
) -> pl.DataFrame:
    """Return a table in which every labelled clip has the votes of some graders.

    A clip's votes depend on the seed and its ``id`` alone, and those of the skilled do not depend on how many have
    no skill. Parameters as above.

    Raises
    ------
    UsageError
        A number of graders below 0 or none in all, or a probability outside [0, 1].
    """
    if min(graders, unskilled) < 0 or graders + unskilled == 0:
        raise UsageError(f"{graders} skilled and {unskilled} unskilled graders: expected 1 or more in all")
    names = classes(table)
    heard = vote_probabilities(len(names), reliability, ambiguity)
    votes = []
    for clip, label in table.select("id", pl.col("label").cast(pl.String)).iter_rows():
        rng = np.random.default_rng([seed, crc32(clip.encode())])
        said = [] if label is None else [*rng.choice(len(names), graders, p=heard[names.index(label)])]
        said += [] if label is None else [*rng.integers(len(names), size=unskilled)]
        votes.append([{"grader": f"{g}", "label": names[c], "weight": 1.0} for g, c in enumerate(said)])
    return table.with_columns(pl.Series("votes", votes, dtype=pl.List(VOTE)))


def vote_probabilities(n_classes: int, reliability: float, ambiguity: float) -> Floats:
    """Return what a skilled grader says (columns) of a clip of each label (rows), shape (n_classes, n_classes)."""
    for name, value in (("reliability", reliability), ("ambiguity", ambiguity)):
        if not 0 <= value <= 1:
            raise UsageError(f"{name} is {value}, expected a probability from 0 to 1")
    label = np.eye(n_classes)
    beside = (np.roll(label, 1, axis=1) + np.roll(label, -1, axis=1)) / 2
    heard = (1 - ambiguity) * label + ambiguity * beside
    result: Floats = reliability * heard + (1 - reliability) / n_classes
    return result
