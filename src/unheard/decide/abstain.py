"""Selective prediction: how sure a prediction must be to be given, and what that buys.

numpy alone. The confidence of a prediction is its largest probability. Probabilities have the shape (n, C); a row
of NaN is a clip without a prediction. The *coverage* of a threshold is the share of clips whose confidence reaches
it, the *risk* the share of errors among these (El-Yaniv and Wiener 2010).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unheard.errors import DataError, UsageError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def threshold_for(probabilities: Floats, coverage: float) -> float:
    """Return the largest threshold that at least this share of validation rows reaches.

    Parameters
    ----------
    probabilities
        Probabilities of validation rows, (n, C), at the temperature of the model that will use the threshold.
        Rows of NaN are left out.
    coverage
        In (0, 1]. At 1 the threshold is 0: every prediction is given, also one that is less sure than
        all of these.

    Raises
    ------
    UsageError
        A coverage out of bounds.
    DataError
        No row with a prediction.
    """
    if not 0 < coverage <= 1:
        raise UsageError(f"a coverage is a share of clips above 0 and at most 1, found {coverage}")
    sure = np.sort(_confidence(probabilities)[0])[::-1]
    if not len(sure):
        raise DataError("a threshold is chosen on validation rows, and there is none with a prediction")
    # 0.7 of 10 clips are 7, although 0.7 * 10 is a little more.
    wanted = int(np.ceil(coverage * len(sure) - 1e-9))
    return 0.0 if coverage == 1 else float(sure[wanted - 1])


@dataclass(frozen=True)
class RiskCoverage:
    """A risk-coverage curve: one point a distinct confidence, the surest first, arrays of shape (points,).

    Predictions of the same confidence are given or withheld together. Clips without a prediction are never
    covered, so where there are some the curve ends below a coverage of 1.
    """

    threshold: Floats
    coverage: Floats
    risk: Floats


def risk_coverage(probabilities: Floats, labels: Ints) -> RiskCoverage:
    """Return the curve over all thresholds of predictions; ``labels`` are class numbers, shape (n,)."""
    sure, wrong, count = _ranked(probabilities, labels)
    ends = np.flatnonzero(np.append(np.diff(sure) != 0, True)) if len(sure) else np.empty(0, np.int64)
    return RiskCoverage(sure[ends], (ends + 1) / count, np.cumsum(wrong)[ends] / (ends + 1))


def aurc(probabilities: Floats, labels: Ints) -> float:
    """Return the area under the risk-coverage curve (Geifman et al. 2019): the mean risk at coverages 1/n, …, n/n.

    Between clips of the same confidence their errors are spread evenly, which is the mean over their orders.
    Clips without a prediction come last, as errors. Smaller is better; the mean of errors where confidence says
    nothing.
    """
    sure, wrong, count = _ranked(probabilities, labels)
    errors = np.ones(count)
    _, group = np.unique(-sure, return_inverse=True)
    errors[: len(sure)] = (np.bincount(group, wrong) / np.bincount(group))[group] if len(sure) else 0
    return float((np.cumsum(errors) / np.arange(1, count + 1)).mean())


def _ranked(probabilities: Floats, labels: Ints) -> tuple[Floats, Floats, int]:
    """Return the confidences from the surest on, 1 where wrong, and the number of all clips."""
    y = np.asarray(labels, dtype=np.int64)
    sure, answered = _confidence(probabilities)
    if y.shape != answered.shape or not len(y):
        raise DataError(
            f"one label a clip, and at least one clip: found {y.shape} for {answered.shape} clips"
        )
    wrong = np.asarray(probabilities)[answered].argmax(axis=1) != y[answered]
    order = np.argsort(-sure, kind="stable")
    return sure[order], wrong[order].astype(np.float64), len(y)


def _confidence(probabilities: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the largest probability of each row with a prediction, and which rows have one."""
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2 or p.shape[1] < 1:
        raise DataError(f"probabilities must be (clips, classes), found {p.shape}")
    answered = np.asarray(~np.isnan(p).any(axis=1), dtype=np.bool_)
    return p[answered].max(axis=1), answered
