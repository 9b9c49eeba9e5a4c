"""Scores of probabilities: whether they are as sure as they are right.

Conventions: probabilities have the shape (n, C) and sum to 1 in each row; labels are class numbers, shape
(n,). A row of NaN is a clip without a prediction: it counts as the uniform distribution, which is what knowing
nothing deserves (NLL ln C, Brier 1 - 1/C), and as wrong. All scores are better when smaller.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unheard.errors import DataError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Bins of the expected calibration error.
BINS = 15
#: Probabilities below this are clipped in the logarithm.
TINY = 1e-12


def nll(probabilities: Floats, labels: Ints) -> float:
    """Return the mean negative log likelihood of the truth, natural logarithm, probabilities clipped at 1e-12."""
    return float(clip_nll(*_checked(probabilities, labels)).mean())


def brier(probabilities: Floats, labels: Ints) -> float:
    """Return the mean over clips of Σ_c (p_c - y_c)², between 0 and 2 (Brier 1950)."""
    return float(clip_brier(*_checked(probabilities, labels)).mean())


def ece(probabilities: Floats, labels: Ints, bins: int = BINS, adaptive: bool = False) -> float:
    """Return the expected calibration error (Guo et al. 2017, eq. 3): mean over bins of |accuracy - confidence|.

    Parameters
    ----------
    probabilities, labels
        See the module.
    bins
        Number of bins over the largest probability of each clip.
    adaptive
        Bins of equal count instead of equal width; clips of equal confidence share a bin.
    """
    r = reliability(probabilities, labels, bins, adaptive)
    gap = np.abs(r.accuracy - r.confidence) * r.count
    return float(np.nansum(gap) / r.count.sum())


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram, every array of shape (bins,); bins are open below and closed above.

    ``confidence`` and ``accuracy`` are means over the clips of a bin, NaN in an empty one.
    """

    low: Floats
    high: Floats
    count: Floats
    confidence: Floats
    accuracy: Floats


def reliability(probabilities: Floats, labels: Ints, bins: int = BINS, adaptive: bool = False) -> Reliability:
    """Return the confidence against accuracy in bins of the largest probability; parameters as in :func:`ece`."""
    p, y = _checked(probabilities, labels)
    sure = confidence(p)
    edges = _equal_counts(sure, bins) if adaptive else np.linspace(0, 1, bins + 1)
    place = bin_of(sure, edges)
    count = np.bincount(place, minlength=len(edges) - 1).astype(np.float64)

    def mean(values: Floats) -> Floats:
        total = np.bincount(place, weights=values, minlength=len(edges) - 1)
        means: Floats = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
        return means

    right = is_right(p, y).astype(np.float64)
    return Reliability(edges[:-1], edges[1:], count, mean(sure), mean(right))


def clip_nll(probabilities: Floats, labels: Ints) -> Floats:
    """Return the negative log likelihood of each clip, shape (n,)."""
    p = known_or_uniform(probabilities)[np.arange(len(labels)), labels]
    result: Floats = -np.log(np.clip(p, TINY, 1))
    return result


def clip_brier(probabilities: Floats, labels: Ints) -> Floats:
    """Return the Brier score of each clip, shape (n,)."""
    one_hot = np.eye(probabilities.shape[1])[labels]
    result: Floats = ((known_or_uniform(probabilities) - one_hot) ** 2).sum(axis=1)
    return result


def known_or_uniform(probabilities: Floats) -> Floats:
    """Return the probabilities with the uniform distribution in the rows without a prediction, shape (n, C)."""
    silent = np.isnan(probabilities).any(axis=1, keepdims=True)
    return np.where(silent, 1 / probabilities.shape[1], probabilities)


def confidence(probabilities: Floats) -> Floats:
    """Return the largest probability of each clip, shape (n,)."""
    result: Floats = known_or_uniform(probabilities).max(axis=1)
    return result


def is_right(probabilities: Floats, labels: Ints) -> NDArray[np.bool_]:
    """Return whether the most probable class (ties by class order) is the truth; False without a prediction."""
    silent = np.isnan(probabilities).any(axis=1)
    right: NDArray[np.bool_] = (known_or_uniform(probabilities).argmax(axis=1) == labels) & ~silent
    return right


def bin_of(values: Floats, edges: Floats) -> Ints:
    """Return the bin number of each value, shape (n,): bin i holds edges[i] < value <= edges[i + 1]."""
    return np.searchsorted(edges[1:-1], values, side="left").astype(np.int64)


def _equal_counts(values: Floats, bins: int) -> Floats:
    ends = np.unique(np.linspace(0, len(values), bins + 1)[1:].round().astype(np.int64))
    return np.concatenate([[0.0], np.unique(np.sort(values)[ends[ends > 0] - 1])])


def _checked(probabilities: Floats, labels: Ints) -> tuple[Floats, Ints]:
    p, y = np.asarray(probabilities, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    if p.ndim != 2 or y.shape != p.shape[:1] or not len(y):
        raise DataError(
            f"probabilities must be (clips, classes) and labels (clips,), one clip at least; "
            f"found {p.shape} and {y.shape}"
        )
    if y.min() < 0 or y.max() >= p.shape[1]:
        raise DataError(f"labels must be 0 … {p.shape[1] - 1}, found {y.min()} … {y.max()}")
    return p, y
