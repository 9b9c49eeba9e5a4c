"""The block of classes: accuracy and its kin from the confusion matrix, calibration from the probabilities.

A clip gives its cell of the confusion matrix, its part in a bin of the calibration error, its NLL and its Brier
score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from unheard.metrics.block import Metric
from unheard.metrics.categorical import accuracy, macro_f1, uar, weighted_f1
from unheard.metrics.probabilistic import BINS, bin_of, clip_brier, clip_nll, confidence
from unheard.metrics.rows import Rows

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Classes:
    """Metrics of predictions against labels, for a number of classes C."""

    classes: int
    name: ClassVar[str] = "classes"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("accuracy", "accuracy", percent=True),
        Metric("uar", "UAR", percent=True),
        Metric("macro_f1", "macro F1", percent=True),
        Metric("weighted_f1", "weighted F1", percent=True),
        Metric("ece", "ECE"),
        Metric("nll", "NLL"),
        Metric("brier", "Brier"),
    )

    def known(self, rows: Rows) -> NDArray[np.bool_]:
        """Return which rows have a label, shape (n,)."""
        return rows.label >= 0

    def columns(self, rows: Rows) -> Floats:
        """Return the numbers of each row, shape (n, C (C + 1) + BINS + 2)."""
        there = self.known(rows)
        label, predicted, p = rows.label[there], rows.predicted[there], rows.probabilities[there]
        cells = self.classes * (self.classes + 1)
        filled = np.zeros((len(label), cells + BINS + 2))
        every = np.arange(len(label))
        filled[every, label * (self.classes + 1) + np.where(predicted < 0, self.classes, predicted)] = 1
        sure = confidence(p)
        # Within a bin, accuracy - confidence times the count is the sum of (right - confidence).
        filled[every, cells + bin_of(sure, np.linspace(0, 1, BINS + 1))] = (label == predicted) - sure
        filled[:, -2] = clip_nll(p, label)
        filled[:, -1] = clip_brier(p, label)
        result = np.zeros((len(there), filled.shape[1]))
        result[there] = filled
        return result

    def scores(self, sums: Floats) -> dict[str, Floats]:
        """Return each metric of sums of shape (..., width), shape (...); NaN where there is no clip."""
        cells = self.classes * (self.classes + 1)
        counts = sums[..., :cells].reshape(*sums.shape[:-1], self.classes, self.classes + 1)
        gaps, totals = sums[..., cells:-2], sums[..., -2:]
        clips = counts.sum(axis=(-2, -1))
        clips = np.where(clips > 0, clips, np.nan)
        return {
            "accuracy": accuracy(counts),
            "uar": uar(counts),
            "macro_f1": macro_f1(counts),
            "weighted_f1": weighted_f1(counts),
            "ece": np.abs(gaps).sum(axis=-1) / clips,
            "nll": totals[..., 0] / clips,
            "brier": totals[..., 1] / clips,
        }
