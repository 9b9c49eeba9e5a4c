"""The loss that training minimises, between outputs and targets, for classes and for dimensions.

Outputs and targets are (n, classes + dimensions), as in :mod:`unheard.targets`; outputs hold class scores before
softmax and dimensions on [0, 1]. A target that is NaN is not known and is left out. torch is not imported here,
so that settings are checked without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import numpy as np

from unheard.settings import OneOf, check, construct
from unheard.targets import Floats

if TYPE_CHECKING:
    from torch import Tensor

#: Smallest divisor, so that a constant output has no concordance and not an infinite one.
TINY = 1e-8


@dataclass(frozen=True)
class Objective:
    """Which loss each part of the target has; the loss of both parts is their sum.

    Parameters
    ----------
    classes
        ``cross_entropy`` to the shares of the classes, or ``ccc``: 1 - CCC of probabilities and shares.
    dimensions
        ``ccc``: 1 - CCC; or ``mse``, the mean squared error. Where both parts are ``ccc`` the loss is 1 - the mean
        CCC over all outputs.
    """

    classes: Annotated[str, OneOf("cross_entropy", "ccc")] = "cross_entropy"
    dimensions: Annotated[str, OneOf("ccc", "mse")] = "ccc"

    def __post_init__(self) -> None:
        check(self, "objective")

    def is_sum(self, target_classes: int, target_dimensions: int) -> bool:
        """Return whether the loss of this many outputs is a sum over clips, which CCC is not."""
        kinds = ({self.classes} if target_classes else set()) | (
            {self.dimensions} if target_dimensions else set()
        )
        return "ccc" not in kinds


@dataclass(frozen=True)
class Loss:
    """The loss of a batch.

    Parameters
    ----------
    objective
        Which loss each part has.
    class_weights
        Weight of each class in a cross-entropy, shape (classes,) (:func:`class_weights`).
    smoothing
        Share of the target of a cross-entropy that is spread over all classes (label smoothing).
    """

    objective: Objective
    class_weights: Tensor
    smoothing: float = 0.0

    def is_sum(self, width: int) -> bool:
        """Return whether the loss of a batch of this many outputs is a sum over clips."""
        classes = len(self.class_weights)
        return self.objective.is_sum(classes, width - classes)

    def unsmoothed(self) -> Loss:
        """Return the same loss without label smoothing, for validation rows."""
        return replace(self, smoothing=0.0)

    def __call__(self, outputs: Tensor, targets: Tensor, whole: Tensor | None = None) -> Tensor:
        """Return the loss of ``outputs`` (n, width).

        ``whole`` holds the targets of all clips of a step where ``targets`` are a part of these: a loss that is a
        sum is then the part's share of the step's loss.
        """
        whole = targets if whole is None else whole
        count = len(self.class_weights)
        scores, wanted = outputs[:, :count], targets[:, :count]
        dimensions, truth = outputs[:, count:], targets[:, count:]
        kinds = self.objective
        if count and truth.shape[1] and kinds.classes == kinds.dimensions == "ccc":
            predicted = outputs.clone()
            predicted[:, :count] = scores.softmax(1)
            return 1 - concordance(predicted, targets).mean()
        parts = []
        if count and kinds.classes == "ccc":
            parts.append(1 - concordance(scores.softmax(1), wanted).mean())
        elif count:
            parts.append(cross_entropy(scores, wanted, self.class_weights, self.smoothing, whole[:, :count]))
        if truth.shape[1] and kinds.dimensions == "ccc":
            parts.append(1 - concordance(dimensions, truth).mean())
        elif truth.shape[1]:
            parts.append(squared_error(dimensions, truth, whole[:, count:]))
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]


def class_weights(shares: Floats, *, balanced: bool) -> Floats:
    """Return a weight for each class of shares (n, classes): equal totals for all classes, or 1 for all.

    A class that nobody chose has weight 0.
    """
    totals = np.nansum(shares, axis=0)
    if not balanced:
        return np.ones(len(totals))
    chosen = totals > 0
    weights: Floats = np.where(chosen, totals.sum() / (len(totals) * np.where(chosen, totals, 1.0)), 0.0)
    return weights


def cross_entropy(
    scores: Tensor, shares: Tensor, weights: Tensor, smoothing: float = 0.0, whole: Tensor | None = None
) -> Tensor:
    """Return the weighted mean cross-entropy of class scores (n, classes) to shares (n, classes).

    Shares are multiplied by the weights of their classes; a clip's weight is their sum, its target their
    proportions. ``whole`` holds the shares of all clips over which the mean is taken.
    """
    weighted = shares.nan_to_num(0.0) * weights
    weight = weighted.sum(1)
    goal = weighted / weight.clamp(min=TINY)[:, None]
    logs = scores.log_softmax(1)
    each = -(goal * logs).sum(1)
    if smoothing:
        each = (1 - smoothing) * each + -logs.sum(1) * (smoothing / scores.shape[1])
    total = weight if whole is None else (whole.nan_to_num(0.0) * weights).sum(1)
    return (each * weight).sum() / total.sum().clamp(min=TINY)


def concordance(predicted: Tensor, truth: Tensor) -> Tensor:
    """Return the concordance correlation coefficient (Lin 1989) of each column of two (n, columns).

    It uses population variances over the rows whose truth is known. A column whose truth is constant has 0 and no
    gradient.
    """
    known = ~truth.isnan()
    count = known.sum(0).clamp(min=1)
    x, y = predicted.masked_fill(~known, 0.0), truth.nan_to_num(0.0)
    x_mean, y_mean = x.sum(0) / count, y.sum(0) / count
    dx, dy = (x - x_mean).masked_fill(~known, 0.0), (y - y_mean).masked_fill(~known, 0.0)
    spread = (dx * dx).sum(0) / count + (dy * dy).sum(0) / count
    return 2 * (dx * dy).sum(0) / count / (spread + (x_mean - y_mean) ** 2).clamp(min=TINY)


def squared_error(predicted: Tensor, truth: Tensor, whole: Tensor | None = None) -> Tensor:
    """Return the mean over columns of the mean squared error of predictions to the known truth, (n, columns) both.

    ``whole`` holds the truth of all clips over which the mean is taken.
    """
    known = ~truth.isnan()
    count = (known if whole is None else ~whole.isnan()).sum(0).clamp(min=1)
    error = (predicted - truth.nan_to_num(0.0)).masked_fill(~known, 0.0)
    return ((error * error).sum(0) / count).mean()


def objective_of(settings: Mapping[str, str]) -> Objective:
    """Make the objective of a recipe's ``objective``; missing fields take their defaults."""
    made: Objective = construct(Objective, settings, "objective")
    return made
