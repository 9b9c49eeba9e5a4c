"""Scores of a distribution against the distribution of the graders' votes.

Conventions: targets and probabilities have the shape (n, C) and sum to 1 in each row, logarithms are natural. A
row of NaN among the probabilities is a clip without a prediction: it counts as the uniform distribution, which is
what knowing nothing deserves, and agrees with no set of classes.

To add a metric, write a function (probabilities, targets) -> (n,) and list it in :func:`metrics_for`: its mean
over clips appears in results and reports, with spread and interval.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from unheard.metrics.block import Metric
from unheard.metrics.probabilistic import TINY, known_or_uniform
from unheard.metrics.rows import Rows

Floats = NDArray[np.float64]

#: Sizes of the sets of most probable classes that are compared.
SET_SIZES = (1, 2, 3)


def kl(probabilities: Floats, targets: Floats) -> Floats:
    """Return the Kullback-Leibler divergence of the prediction from the target, Σ_c t_c ln(t_c / p_c), shape (n,).

    Probabilities are clipped at 1e-12; a class with a share of 0 adds nothing.
    """
    p = np.clip(known_or_uniform(probabilities), TINY, 1)
    return _relative_entropy(targets, p)


def jensen_shannon(probabilities: Floats, targets: Floats) -> Floats:
    """Return the Jensen-Shannon divergence, the mean divergence of both from their mean, 0 to ln 2, shape (n,)."""
    p = known_or_uniform(probabilities)
    middle = (p + targets) / 2
    return (_relative_entropy(targets, middle) + _relative_entropy(p, middle)) / 2


def cosine(probabilities: Floats, targets: Floats) -> Floats:
    """Return the cosine of the angle between the two, 0 to 1, shape (n,)."""
    p = known_or_uniform(probabilities)
    lengths = np.linalg.norm(p, axis=1) * np.linalg.norm(targets, axis=1)
    result: Floats = (p * targets).sum(axis=1) / lengths
    return result


def top_k(probabilities: Floats, targets: Floats, k: int) -> Floats:
    """Return the share of the k most voted classes among the k most probable, shape (n,); ties by class order."""
    silent = np.isnan(probabilities).any(axis=1)
    both = _largest(np.where(np.isnan(probabilities), 0.0, probabilities), k) & _largest(targets, k)
    result: Floats = np.where(silent, 0.0, both.sum(axis=1) / k)
    return result


@dataclass(frozen=True)
class ClipMetric(Metric):
    """A metric that is the mean over clips of a number of each clip."""

    of: Callable[[Floats, Floats], Floats] = kl


def metrics_for(classes: int) -> tuple[ClipMetric, ...]:
    """Return the metrics of distributions over some classes, in the order of reports."""
    return (
        ClipMetric("kl", "KL", of=kl),
        ClipMetric("jensen_shannon", "Jensen-Shannon", of=jensen_shannon),
        ClipMetric("cosine", "cosine", of=cosine),
        *(
            ClipMetric(f"top_{k}", f"top-{k} agreement", percent=True, of=partial(top_k, k=k))
            for k in SET_SIZES
            if k < classes
        ),
    )


@dataclass(frozen=True)
class Distribution:
    """Metrics of probabilities against shares of votes, for a number of classes C."""

    classes: int
    name: ClassVar[str] = "distribution"

    @property
    def metrics(self) -> tuple[ClipMetric, ...]:
        """Metrics in the order of reports."""
        return metrics_for(self.classes)

    def known(self, rows: Rows) -> NDArray[np.bool_]:
        """Return which rows have shares, shape (n,)."""
        return np.asarray(~np.isnan(rows.shares).any(axis=1), dtype=np.bool_)

    def columns(self, rows: Rows) -> Floats:
        """Return a row of 1 and of each metric of the clip, shape (n, 1 + metrics)."""
        there = self.known(rows)
        p, targets = rows.probabilities[there], rows.shares[there]
        result = np.zeros((len(there), 1 + len(self.metrics)))
        result[there] = np.stack([np.ones(len(p)), *(m.of(p, targets) for m in self.metrics)], axis=1)
        return result

    def scores(self, sums: Floats) -> dict[str, Floats]:
        """Return the mean over clips of each metric, shape (...), of sums of shape (..., width)."""
        clips = np.where(sums[..., 0] > 0, sums[..., 0], np.nan)
        return {m.name: sums[..., i] / clips for i, m in enumerate(self.metrics, start=1)}


def _relative_entropy(of: Floats, to: Floats) -> Floats:
    # Where a share is 0 its term is 0, and the ratio is not needed.
    ratio = np.divide(of, to, out=np.ones_like(of), where=of > 0)
    result: Floats = (of * np.log(ratio)).sum(axis=1)
    return result


def _largest(values: Floats, k: int) -> NDArray[np.bool_]:
    """Mark the k largest of each row, ties by order."""
    order = np.argsort(-values, axis=1, kind="stable")[:, :k]
    result = np.zeros(values.shape, dtype=np.bool_)
    np.put_along_axis(result, order, True, axis=1)
    return result
