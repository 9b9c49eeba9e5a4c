"""What a system predicts: classes, by label or by the graders' votes, and dimensions, as one matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unheard.errors import UsageError, first_five, unknown

Floats = NDArray[np.float64]

#: What class columns are made of.
KINDS = ("label", "majority", "votes")


@dataclass(frozen=True)
class Target:
    """What the columns of a target matrix mean: first one a class, then one a dimension.

    Parameters
    ----------
    classes
        Names in the order of the columns; empty where only dimensions are asked for.
    of
        ``label``: a class column is 1 for the clip's label and 0 elsewhere. ``majority``: the same for the class
        that more graders chose than any other; unknown where two classes tie. ``votes``: it is the share of the
        graders who chose the class.
    dimensions
        Names such as ``activation``; their columns are on [0, 1].
    smoothing
        Of ``votes``: the part s of a share p that training moves to the other classes, so that of C classes each
        is learned as (1 - s) p + s (1 - p) / (C - 1), as Emo-SUPERB does with 0.05. Scores know p alone.
    """

    classes: tuple[str, ...]
    of: str = "label"
    dimensions: tuple[str, ...] = ()
    smoothing: float = 0.0

    def __post_init__(self) -> None:
        if self.of not in KINDS:
            raise unknown("target.classes", self.of, KINDS)
        if not self.classes and not self.dimensions:
            raise UsageError("a target has classes, dimensions or both; this one has neither")
        if not 0 <= self.smoothing < 0.5 or (self.smoothing and self.of != "votes"):
            raise UsageError(
                f"target.smoothing is for classes: votes, from 0 and below 0.5; found {self.smoothing} with "
                f"classes: {self.of}"
            )
        names = (*self.classes, *self.dimensions)
        double = sorted({name for name in names if names.count(name) > 1})
        if double:
            raise UsageError(f"a target names {first_five(double)} more than once")

    @property
    def width(self) -> int:
        """Number of columns: classes and dimensions."""
        return len(self.classes) + len(self.dimensions)


def one_hot(labels: Sequence[int] | NDArray[np.int64], classes: int) -> Floats:
    """Return class columns (n, classes) of class numbers (n,); a row of NaN for -1, an unknown label."""
    numbers = np.asarray(labels, dtype=np.int64)
    columns = np.zeros((len(numbers), classes))
    known = numbers >= 0
    columns[np.flatnonzero(known), numbers[known]] = 1.0
    columns[~known] = np.nan
    return columns


def smoothed(shares: Floats, smoothing: float) -> Floats:
    """Return shares (n, classes) of which a part has moved to the other classes (:class:`Target`)."""
    others = max(shares.shape[1] - 1, 1)
    result: Floats = (1 - smoothing) * shares + smoothing * (1 - shares) / others
    return result


def majority(shares: Floats) -> Floats:
    """Return 1 for the class with the largest share of (n, classes) and 0 elsewhere; NaN where classes tie."""
    largest = shares == shares.max(axis=1, keepdims=True)
    agreed = largest.sum(axis=1, keepdims=True) == 1
    return np.where(agreed, largest, np.nan)


def without_agreement(shares: Floats) -> int:
    """Count the rows of shares (n, classes) without a majority, leaving out those that are not known."""
    known = shares[~np.isnan(shares).any(axis=1)]
    return int((class_numbers(majority(known)) < 0).sum())


def class_numbers(columns: Floats) -> NDArray[np.int64]:
    """Return the class with the largest share (n,) of class columns (n, classes), ties by order; -1 if unknown."""
    if columns.shape[1] == 0:
        return np.full(len(columns), -1, dtype=np.int64)
    unknown_rows = np.isnan(columns).any(axis=1)
    largest = np.where(np.isnan(columns), -1.0, columns).argmax(axis=1)
    return np.where(unknown_rows, -1, largest)
