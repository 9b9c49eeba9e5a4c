"""Scores of the k most probable classes: a clip is right where its class is among them, ties by class order.

A clip without a prediction has no probable classes and is an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from unheard.metrics.block import Metric
from unheard.metrics.rows import Rows

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Numbers of classes that are counted as an answer; the first is accuracy and UAR as usual.
SIZES = (1, 2, 3)


def rank_of(probabilities: Floats, labels: Ints) -> Ints:
    """Return the place of each clip's class among its probabilities (n, C), 0 the most probable, shape (n,).

    ``labels`` are class numbers; the place is C where there is no prediction.
    """
    classes = probabilities.shape[1]
    silent = np.asarray(np.isnan(probabilities).any(axis=1))
    order = np.argsort(np.where(silent[:, None], 0.0, -probabilities), axis=1, kind="stable")
    place = np.asarray(order == labels[:, None]).argmax(axis=1)
    result: Ints = np.where(silent, classes, place)
    return result


@dataclass(frozen=True)
class KBest:
    """Accuracy and UAR of the k most probable classes, for a number of classes C."""

    classes: int
    name: ClassVar[str] = "k_best"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Metrics in the order of reports; as many classes as there are would always be right."""
        return tuple(
            Metric(f"best_{k}{suffix}", f"{k}-best {label}", percent=True)
            for k in SIZES[1:]
            if k < self.classes
            for suffix, label in (("", "accuracy"), ("_uar", "UAR"))
        )

    def known(self, rows: Rows) -> NDArray[np.bool_]:
        """Return which rows have a label, shape (n,)."""
        return rows.label >= 0

    def columns(self, rows: Rows) -> Floats:
        """Return for each class 1 where it is the truth, and 1 for each size where it is among the most probable.

        Shape (n, C (1 + sizes)).
        """
        there = np.flatnonzero(self.known(rows))
        label = rows.label[there]
        place = rank_of(rows.probabilities[there], label)
        result = np.zeros((len(rows.label), self.classes, 1 + len(SIZES)))
        result[there, label, 0] = 1
        for i, k in enumerate(SIZES, 1):
            result[there, label, i] = place < k
        return result.reshape(len(result), -1)

    def scores(self, sums: Floats) -> dict[str, Floats]:
        """Return each metric of sums of shape (..., width), shape (...); NaN where there is no clip."""
        counts = sums.reshape(*sums.shape[:-1], self.classes, 1 + len(SIZES))
        clips = counts[..., 0].sum(axis=-1)
        found = {}
        for i, k in enumerate(SIZES, 1):
            if 1 < k < self.classes:
                found[f"best_{k}"] = counts[..., i].sum(axis=-1) / np.where(clips > 0, clips, np.nan)
                found[f"best_{k}_uar"] = self.uar(sums, k)
        return found

    def uar(self, sums: Floats, k: int) -> Floats:
        """Return the mean over the classes present in the truth of the share whose k best hold the class."""
        counts = sums.reshape(*sums.shape[:-1], self.classes, 1 + len(SIZES))
        true, right = counts[..., 0], counts[..., SIZES.index(k) + 1]
        recall = right / np.where(true > 0, true, 1.0)
        present = (true > 0).sum(axis=-1)
        result: Floats = recall.sum(axis=-1) / np.where(present > 0, present, np.nan)
        return result


def second_answers(rows: Rows) -> Floats:
    """Count which class is the second most probable where which is the most probable, shape (C, C).

    Rows are the first answer; clips without a prediction are left out. From two classes on.
    """
    classes = len(rows.classes)
    p = rows.probabilities[~np.isnan(rows.probabilities).any(axis=1)]
    order = np.argsort(-p, axis=1, kind="stable")
    counts = np.zeros((classes, classes))
    np.add.at(counts, (order[:, 0], order[:, 1]), 1)
    return counts
