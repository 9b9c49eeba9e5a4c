"""The metric of outputs for validation rows by which an epoch is chosen."""

from __future__ import annotations

import numpy as np

from unheard.errors import DataError
from unheard.metrics import categorical, dimensional
from unheard.targets import Floats, Target, class_numbers

#: The figure where there are no classes: the mean concordance correlation coefficient over dimensions.
CCC = "ccc"


def metric_for(target: Target, metric: str) -> str:
    """Return the name of the figure: the asked one of :mod:`unheard.metrics.categorical`; without classes, CCC."""
    return metric if target.classes else CCC


def check_known(targets: Floats, target: Target, metric: str) -> None:
    """Refuse validation targets (n, classes + dimensions) of which none is known that the figure asks for.

    Raises
    ------
    DataError
        No row has a class, or for CCC a dimension: the figure would be NaN, and no epoch better than the first.
    """
    count = len(target.classes)
    asked, what = (targets[:, count:], "dimension") if metric == CCC else (targets[:, :count], "class")
    if np.isnan(asked).all():
        raise DataError(
            f"the epoch is chosen by {metric} on validation clips, and none of them has a known {what}; give the "
            "fold validation speakers who have one, or take a head that chooses no epoch (probe, emobox)"
        )


def figure(outputs: Floats, targets: Floats, target: Target, metric: str) -> float:
    """Return the figure of outputs for targets, both (n, classes + dimensions); higher is better.

    Without classes it is the mean CCC over the dimensions of which some truth is known.
    """
    count = len(target.classes)
    if metric != CCC:
        labels = class_numbers(targets[:, :count])
        known = labels >= 0
        counts = categorical.confusion(labels[known], outputs[known, :count].argmax(axis=1), count)
        return float(getattr(categorical, metric)(counts))
    known_dimensions = [
        column for column in range(targets.shape[1]) if not np.isnan(targets[:, column]).all()
    ]
    return mean_ccc(outputs[:, known_dimensions], targets[:, known_dimensions])


def mean_ccc(predicted: Floats, truth: Floats) -> float:
    """Return the mean over columns of the CCC of predictions and known truth, shape (n, columns)."""
    return float(
        np.mean(
            [
                dimensional.ccc(x[~np.isnan(y)], y[~np.isnan(y)])
                for x, y in zip(predicted.T, truth.T, strict=True)
            ]
        )
    )
