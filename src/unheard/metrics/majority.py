"""Scores against the majority of the graders, whatever the label of the table is (often what was enacted).

The majority is the class that more graders chose than any other; clips on which two classes tie have none, and
count nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from unheard.metrics.block import Metric
from unheard.metrics.categorical import accuracy, uar
from unheard.metrics.rows import Rows
from unheard.targets import class_numbers, majority

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Majority:
    """Accuracy and UAR against the majority of the graders, for a number of classes C."""

    classes: int
    name: ClassVar[str] = "majority"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("majority_accuracy", "accuracy against the majority", percent=True),
        Metric("majority_uar", "UAR against the majority", percent=True),
    )

    def known(self, rows: Rows) -> NDArray[np.bool_]:
        """Return which rows have a majority, shape (n,)."""
        return class_numbers(majority(rows.shares)) >= 0

    def columns(self, rows: Rows) -> Floats:
        """Return the cell of the confusion matrix of each row, shape (n, C (C + 1))."""
        label = class_numbers(majority(rows.shares))
        there = np.flatnonzero(label >= 0)
        predicted = np.where(rows.predicted < 0, self.classes, rows.predicted)
        result = np.zeros((len(label), self.classes, self.classes + 1))
        result[there, label[there], predicted[there]] = 1
        return result.reshape(len(label), -1)

    def scores(self, sums: Floats) -> dict[str, Floats]:
        """Return each metric of sums of shape (..., width), shape (...); NaN where there is no clip."""
        counts = sums.reshape(*sums.shape[:-1], self.classes, self.classes + 1)
        return {"majority_accuracy": accuracy(counts), "majority_uar": uar(counts)}
