"""Scores of dimensions such as valence: predictions against truth, both on [0, 1].

A clip without a prediction counts as the middle of the scale, which is what someone predicts who knows nothing
(our choice), as it counts as the uniform distribution among classes.

To add a metric, write what a clip adds to its sums, (predicted, truth) -> (n, width), and which score any such sum
means, and list both in :data:`METRICS`: it appears in results and reports for each dimension and as the mean over
dimensions, with spread and interval.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unheard.metrics.block import Metric
from unheard.metrics.rows import Rows

Floats = NDArray[np.float64]

#: What a clip without a prediction counts as.
MIDDLE = 0.5
#: Scatter and distance below this are rounding.
TINY = 1e-15
#: Name of the mean over all dimensions, in the place of a dimension.
MEAN = "mean"


def ccc(predicted: ArrayLike, truth: ArrayLike) -> float:
    """Return the concordance correlation coefficient of two lists of one length; see :func:`ccc_of`."""
    return float(
        ccc_of(moments(np.asarray(predicted, np.float64), np.asarray(truth, np.float64)).sum(axis=0))
    )


def mae(predicted: ArrayLike, truth: ArrayLike) -> float:
    """Return the mean absolute error of two lists of one length."""
    return float(
        mean_of(distance(np.asarray(predicted, np.float64), np.asarray(truth, np.float64)).sum(axis=0))
    )


def moments(predicted: Floats, truth: Floats) -> Floats:
    """Return 1 and the first and second powers of each pair, shape (n, 6)."""
    # Around the middle of the scale, where sums of squares lose fewest digits.
    x, y = predicted - MIDDLE, truth - MIDDLE
    return np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=-1)


def ccc_of(sums: Floats) -> Floats:
    """Return the concordance correlation coefficient (Lin 1989) of sums of :func:`moments`, shape (...).

    CCC = 2 cov / (var of predictions + var of truth + (difference of means)²), with population variances. It is 1
    where predictions and truth are equal, and 0 where both are constant and differ.
    """
    n = np.where(sums[..., 0] > 0, sums[..., 0], np.nan)
    x, y, xx, yy, xy = np.moveaxis(sums[..., 1:] / n[..., None], -1, 0)
    apart = (xx - x * x) + (yy - y * y) + (x - y) ** 2
    equal = apart <= TINY
    concordance: Floats = 2 * (xy - x * y) / np.where(equal, 1.0, apart)
    return np.where(equal, 1.0, concordance)


def distance(predicted: Floats, truth: Floats) -> Floats:
    """Return 1 and the absolute error of each pair, shape (n, 2)."""
    return np.stack([np.ones_like(predicted), np.abs(predicted - truth)], axis=-1)


def squared_distance(predicted: Floats, truth: Floats) -> Floats:
    """Return 1 and the squared error of each pair, shape (n, 2)."""
    return np.stack([np.ones_like(predicted), (predicted - truth) ** 2], axis=-1)


def root_mean_of(sums: Floats) -> Floats:
    """Return the square root of :func:`mean_of`, shape (...)."""
    result: Floats = np.sqrt(mean_of(sums))
    return result


def mean_of(sums: Floats) -> Floats:
    """Return the mean of the second column, of sums whose first is the number of clips, shape (...)."""
    result: Floats = sums[..., 1] / np.where(sums[..., 0] > 0, sums[..., 0], np.nan)
    return result


@dataclass(frozen=True)
class PairMetric(Metric):
    """A metric of pairs (prediction, truth) that is a function of sums over them."""

    columns: Callable[[Floats, Floats], Floats] = moments
    score: Callable[[Floats], Floats] = ccc_of


#: Every metric of a dimension, in the order of reports.
METRICS = (
    PairMetric("ccc", "CCC", columns=moments, score=ccc_of),
    PairMetric("mae", "MAE", columns=distance, score=mean_of),
    PairMetric("rmse", "RMSE", columns=squared_distance, score=root_mean_of),
)


@dataclass(frozen=True)
class Dimensions:
    """Metrics of dimensions, named ``DIMENSION.METRIC``; ``mean.METRIC`` is the mean over dimensions."""

    dimensions: tuple[str, ...]
    name: ClassVar[str] = "dimensions"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Metrics in the order of reports."""
        return tuple(
            Metric(f"{dimension}.{m.name}", _label(m, dimension), m.percent)
            for dimension in (*self.dimensions, MEAN)
            for m in METRICS
        )

    def known(self, rows: Rows) -> NDArray[np.bool_]:
        """Return which rows have the truth of some dimension, shape (n,)."""
        return np.asarray(~np.isnan(rows.dimension_truth).all(axis=1), dtype=np.bool_)

    def columns(self, rows: Rows) -> Floats:
        """Return the numbers of each metric of each dimension side by side, shape (n, width)."""
        predicted = np.where(np.isnan(rows.predicted_dimensions), MIDDLE, rows.predicted_dimensions)
        parts = []
        for d in range(len(self.dimensions)):
            there = ~np.isnan(rows.dimension_truth[:, d])
            for metric in METRICS:
                own = metric.columns(predicted[there, d], rows.dimension_truth[there, d])
                part = np.zeros((len(there), own.shape[1]))
                part[there] = own
                parts.append(part)
        return np.concatenate(parts, axis=1)

    def scores(self, sums: Floats) -> dict[str, Floats]:
        """Return each metric, shape (...), of sums of shape (..., width); NaN where there is no clip."""
        found, place = {}, 0
        for dimension in self.dimensions:
            for metric in METRICS:
                width = metric.columns(np.zeros(0), np.zeros(0)).shape[1]
                found[f"{dimension}.{metric.name}"] = metric.score(sums[..., place : place + width])
                place += width
        for metric in METRICS:
            each = [found[f"{dimension}.{metric.name}"] for dimension in self.dimensions]
            found[f"{MEAN}.{metric.name}"] = np.mean(each, axis=0)
        return found


def _label(metric: Metric, dimension: str) -> str:
    return f"mean {metric.label}" if dimension == MEAN else f"{metric.label} of {dimension}"
