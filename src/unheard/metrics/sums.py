"""Every score as a function of sums over clips.

A clip gives a row of numbers: its cell of the confusion matrix, its part in a bin of the calibration error,
its NLL and its Brier score. Rows add up over speakers, folds and bootstrap draws, and :func:`scores` turns
any such sum into all scores at once. So a draw of speakers costs one row of a matrix product.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unheard.metrics.categorical import accuracy, macro_f1, uar, weighted_f1
from unheard.metrics.probabilistic import BINS, bin_of, clip_brier, clip_nll, confidence
from unheard.metrics.rows import Rows

Floats = NDArray[np.float64]

#: Every score, in the order of reports.
SCORES = ("accuracy", "uar", "macro_f1", "weighted_f1", "ece", "nll", "brier")


def clip_sums(rows: Rows) -> Floats:
    """Row of each clip, shape (n, C (C + 1) + BINS + 2)."""
    n, c = len(rows.label), len(rows.classes)
    cells = c * (c + 1)
    result = np.zeros((n, cells + BINS + 2))
    every = np.arange(n)
    result[every, rows.label * (c + 1) + np.where(rows.answer < 0, c, rows.answer)] = 1
    sure = confidence(rows.probabilities)
    # Within a bin, accuracy - confidence times the count is the sum of (right - confidence).
    result[every, cells + bin_of(sure, np.linspace(0, 1, BINS + 1))] = (rows.label == rows.answer) - sure
    result[:, -2] = clip_nll(rows.probabilities, rows.label)
    result[:, -1] = clip_brier(rows.probabilities, rows.label)
    return result


def grouped(values: Floats, group: NDArray[np.int64], groups: int) -> Floats:
    """Sum rows by group, shape (groups, width)."""
    order = np.argsort(group, kind="stable")
    present, start = np.unique(group[order], return_index=True)
    result = np.zeros((groups, values.shape[1]))
    result[present] = np.add.reduceat(values[order], start, axis=0)
    return result


def scores(sums: Floats, classes: int) -> dict[str, Floats]:
    """All scores of sums of shape (..., width), each of shape (...); NaN where there is no clip."""
    cells = classes * (classes + 1)
    counts = sums[..., :cells].reshape(*sums.shape[:-1], classes, classes + 1)
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
