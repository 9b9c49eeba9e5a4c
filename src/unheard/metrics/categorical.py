"""Scores of classes, computed from counts.

Conventions: counts have the shape (..., C, C + 1). Rows are the truth, columns the prediction, and the last
column holds the clips that got no prediction, which are errors. Every score maps over the leading axes (draws,
seeds, folds), is a fraction in [0, 1], and is NaN where there is no clip. Classes that nobody spoke count
nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unheard.errors import DataError, first_five

Floats = NDArray[np.float64]


def confusion(true: ArrayLike, predicted: ArrayLike, classes: int) -> Floats:
    """Count truth against prediction.

    Parameters
    ----------
    true
        Class numbers of the truth, shape (n,), in 0 … classes - 1.
    predicted
        Class numbers of the prediction, shape (n,); -1 where there is none.
    classes
        Number of classes C.

    Returns
    -------
    Counts, shape (C, C + 1); the last column holds the clips without a prediction.

    Raises
    ------
    DataError
        Unequal lengths, or a number that is no class.
    """
    t, a = np.asarray(true, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    if t.shape != a.shape or t.ndim != 1:
        raise DataError(
            f"truth and prediction must be two lists of one length, found {t.shape} and {a.shape}"
        )
    _check_range("truth", t, 0, classes)
    _check_range("predicted", a, -1, classes)
    cell = t * (classes + 1) + np.where(a < 0, classes, a)
    counts = np.bincount(cell, minlength=classes * (classes + 1)).reshape(classes, classes + 1)
    return counts.astype(np.float64)


def accuracy(counts: Floats) -> Floats:
    """Return the weighted accuracy: correct clips over all clips, shape (...)."""
    return _ratio(_correct(counts).sum(axis=-1), counts.sum(axis=(-2, -1)), np.nan)


def uar(counts: Floats) -> Floats:
    """Return the unweighted average recall: the mean recall of the classes present in the truth, shape (...)."""
    recall = _ratio(_correct(counts), counts.sum(axis=-1), 0.0)
    return _mean_where(recall, counts.sum(axis=-1) > 0)


def macro_f1(counts: Floats) -> Floats:
    """Return mean F1 of the classes present in truth or prediction, shape (...)."""
    return _mean_where(_f1(counts), counts.sum(axis=-1) + _answered(counts) > 0)


def weighted_f1(counts: Floats) -> Floats:
    """Return F1 weighted by the true counts, shape (...)."""
    true = counts.sum(axis=-1)
    return _ratio((_f1(counts) * true).sum(axis=-1), true.sum(axis=-1), np.nan)


@dataclass(frozen=True)
class PerClass:
    """Scores of each class, every array of shape (..., C); see :func:`per_class`."""

    support: Floats
    precision: Floats
    recall: Floats
    f1: Floats


def per_class(counts: Floats) -> PerClass:
    """Support, precision, recall and F1 of each class.

    Precision is 0 for a class never predicted, F1 is 0 where precision and recall are; recall is NaN for a
    class absent from the truth.
    """
    true = counts.sum(axis=-1)
    return PerClass(
        support=true,
        precision=_ratio(_correct(counts), _answered(counts), 0.0),
        recall=_ratio(_correct(counts), true, np.nan),
        f1=_f1(counts),
    )


def _f1(counts: Floats) -> Floats:
    # 2 P R / (P + R) = 2 correct / (true + answered), which needs no case for P + R = 0.
    return _ratio(2 * _correct(counts), counts.sum(axis=-1) + _answered(counts), 0.0)


def _correct(counts: Floats) -> Floats:
    diagonal: Floats = np.diagonal(counts[..., :-1], axis1=-2, axis2=-1)
    return diagonal


def _answered(counts: Floats) -> Floats:
    times: Floats = counts[..., :-1].sum(axis=-2)
    return times


def _mean_where(values: Floats, present: NDArray[np.bool_]) -> Floats:
    return _ratio((values * present).sum(axis=-1), present.sum(axis=-1), np.nan)


def _ratio(above: Floats, below: NDArray[np.generic], otherwise: float) -> Floats:
    numerator, denominator = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    result = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), otherwise)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result


def _check_range(name: str, values: NDArray[np.int64], low: int, classes: int) -> None:
    bad = np.unique(values[(values < low) | (values >= classes)])
    if len(bad):
        raise DataError(
            f"{name} holds {first_five(bad)}; {classes} classes are numbered {low} … {classes - 1}"
            + (" (-1: no prediction)" if low < 0 else "")
        )
