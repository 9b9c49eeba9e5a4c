"""What a system predicts: classes, by label or by the graders' votes, and dimensions, as one matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unheard.errors import UsageError, first_five, unknown

Floats = NDArray[np.float64]

KINDS = ("label", "votes")


@dataclass(frozen=True)
class Target:
    """What the columns of a target matrix mean: first one a class, then one a dimension.

    Parameters
    ----------
    classes
        Names in the order of the columns; empty where only dimensions are asked for.
    of
        ``label``: a class column is 1 for the clip's label and 0 elsewhere. ``votes``: it is the share of the
        graders who chose the class.
    dimensions
        Names such as ``activation``; their columns are on [0, 1].
    """

    classes: tuple[str, ...]
    of: str = "label"
    dimensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.of not in KINDS:
            raise unknown("target.classes", self.of, KINDS)
        if not self.classes and not self.dimensions:
            raise UsageError("a target has classes, dimensions or both; this one has neither")
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


def class_numbers(columns: Floats) -> NDArray[np.int64]:
    """Return the class with the largest share (n,) of class columns (n, classes), ties by order; -1 if unknown."""
    if columns.shape[1] == 0:
        return np.full(len(columns), -1, dtype=np.int64)
    unknown_rows = np.isnan(columns).any(axis=1)
    largest = np.where(np.isnan(columns), -1.0, columns).argmax(axis=1)
    return np.where(unknown_rows, -1, largest)
