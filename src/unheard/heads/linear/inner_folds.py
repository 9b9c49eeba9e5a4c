"""The choice of a penalty over inner folds of the training speakers: of C by UAR, of α by CCC.

With more dimensions than rows, an L2-penalised linear model has its weights in the span of the rows. QR of the
transposed rows gives an orthonormal basis Q of that span; fitting on the coordinates and multiplying by Q gives
exactly the model of the full space, at the cost of n dimensions (Hastie and Tibshirani 2004, "Efficient quadratic
regularization for expression arrays", section 2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unheard.errors import DataError, need
from unheard.heads.linear import ridge
from unheard.heads.rows import scale_of
from unheard.targets import class_numbers
from unheard.training.validation import mean_ccc

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
#: Takes rows (n, r), shares of classes (n, k) that all have some, and ascending values of C; gives for each C the
#: coefficients (k, r) and intercepts (k,) of the model.
Solver = Callable[[Floats, Floats, Sequence[float]], Iterator[tuple[Floats, Floats]]]


class Inner(NamedTuple):
    """One inner fold: numbers of the rows that are learned from and of those held out, and both standardised.

    The coordinates ``Z`` and ``Z_held`` are those of the span of the rows that are learned from, where this has
    fewer dimensions than the rows.
    """

    learned: Labels
    held: Labels
    Z: Floats
    Z_held: Floats


def inner_folds(X: Floats, speakers: NDArray[np.str_], folds: int, advice: str) -> Iterator[Inner]:
    """Yield inner folds over speakers: as many as asked for, or as there are speakers.

    Raises
    ------
    DataError
        All rows are of one speaker; ``advice`` says what to do then.
    """
    groups = len(np.unique(speakers))
    if groups < 2:
        raise DataError(
            f"what is chosen is chosen over groups of training speakers, and all {len(X)} rows are of one "
            f"({str(speakers[0])!r}); {advice}"
        )
    splitter = need("sklearn.model_selection", "eval").GroupKFold(n_splits=min(folds, groups))
    for learned, held in splitter.split(X, groups=speakers):
        mean, scale = moments(X[learned])
        Z, basis = row_space((X[learned] - mean) / scale)
        Z_held = (X[held] - mean) / scale
        yield Inner(learned, held, Z, Z_held if basis is None else Z_held @ basis)


def uars(
    solve: Solver, X: Floats, shares: Floats, speakers: NDArray[np.str_], grid: Sequence[float], folds: int
) -> list[float]:
    """Return the UAR of each C over all rows, each predicted by the model that was not trained on its speaker.

    ``shares`` (n, classes) are all known; the class of a row is that of its largest share.
    """
    labels = class_numbers(shares)
    predicted = np.zeros((len(grid), len(labels)), dtype=np.int64)
    for inner in inner_folds(X, speakers, folds, "give one value, such as head.grid=[0.01]"):
        # An inner training part may lack a class; that class is then never predicted.
        present = np.flatnonzero(shares[inner.learned].any(axis=0))
        if len(present) == 1:
            predicted[:, inner.held] = present[0]
            continue
        models = solve(inner.Z, shares[np.ix_(inner.learned, present)], grid)
        for k, (coef, intercept) in enumerate(models):
            predicted[k, inner.held] = present[(inner.Z_held @ coef.T + intercept).argmax(axis=1)]
    return [_uar(labels, one) for one in predicted]


def cccs(X: Floats, truth: Floats, speakers: NDArray[np.str_], folds: int) -> list[float]:
    """Return the mean CCC over dimensions for each of ``ridge.ALPHAS``, every row predicted as in :func:`uars`.

    ``truth`` (n, dimensions) is on [0, 1], and NaN where it is not known; predictions are clipped to [0, 1].
    """
    predicted = np.zeros((len(ridge.ALPHAS), *truth.shape))
    for inner in inner_folds(X, speakers, folds, "dimensions need at least two training speakers"):
        for k, (coef, intercept) in enumerate(ridge.path(inner.Z, truth[inner.learned], ridge.ALPHAS)):
            predicted[k, inner.held] = np.clip(inner.Z_held @ coef.T + intercept, 0, 1)
    return [mean_ccc(one, truth) for one in predicted]


def moments(X: Floats) -> tuple[Floats, Floats]:
    """Return mean and scale that standardise the rows, (dims,) each."""
    mean: Floats = X.mean(axis=0)
    return mean, scale_of(mean, X.std(axis=0))


def row_space(Z: Floats) -> tuple[Floats, Floats | None]:
    """Return the coordinates of the rows in their own span, shape (n, n), and its orthonormal basis (dims, n).

    The rows themselves and None where they have no more dimensions than there are rows.
    """
    if Z.shape[1] <= Z.shape[0]:
        return Z, None
    basis, R = np.linalg.qr(Z.T)
    return np.ascontiguousarray(R.T), basis


def _uar(true: Labels, predicted: Labels) -> float:
    hit = true == predicted
    return float(np.mean([hit[true == c].mean() for c in np.unique(true)]))
