"""The choice of C: UAR over inner folds of the training speakers.

With more dimensions than rows, an L2-penalised linear model has its weights in the span of the rows. QR of the
transposed rows gives an orthonormal basis Q of that span; fitting on the coordinates and multiplying by Q gives
exactly the model of the full space, at the cost of n dimensions (Hastie and Tibshirani 2004, "Efficient quadratic
regularization for expression arrays", section 2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from unheard.errors import DataError, need
from unheard.heads.rows import scale_of

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
#: Takes rows (n, r), class numbers 0 … k - 1 that all occur, and ascending values of C; gives for each C the
#: coefficients (k, r) and intercepts (k,) of the model.
Solver = Callable[[Floats, Labels, Sequence[float]], Iterator[tuple[Floats, Floats]]]


def scores(
    solve: Solver, X: Floats, labels: Labels, speakers: NDArray[np.str_], grid: Sequence[float], folds: int
) -> list[float]:
    """Return the UAR of each C over all rows, each answered by the model that was not trained on its speaker."""
    groups = len(np.unique(speakers))
    if groups < 2:
        raise DataError(
            f"C is chosen over groups of training speakers, and all {len(labels)} rows are of one "
            f"({str(speakers[0])!r}); give one value, such as head.grid=[0.01]"
        )
    answers = np.zeros((len(grid), len(labels)), dtype=np.int64)
    splitter = need("sklearn.model_selection", "eval").GroupKFold(n_splits=min(folds, groups))
    for inner, held in splitter.split(X, groups=speakers):
        mean, scale = moments(X[inner])
        Z, basis = row_space((X[inner] - mean) / scale)
        Z_held = (X[held] - mean) / scale
        if basis is not None:
            Z_held = Z_held @ basis
        # An inner training part may lack a class; that class is then never answered.
        present, y = np.unique(labels[inner], return_inverse=True)
        if len(present) == 1:
            answers[:, held] = present[0]
            continue
        for k, (coef, intercept) in enumerate(solve(Z, y, grid)):
            answers[k, held] = present[(Z_held @ coef.T + intercept).argmax(axis=1)]
    return [_uar(labels, answer) for answer in answers]


def moments(X: Floats) -> tuple[Floats, Floats]:
    """Mean and scale that standardise the rows, (dims,) each."""
    mean: Floats = X.mean(axis=0)
    return mean, scale_of(mean, X.std(axis=0))


def row_space(Z: Floats) -> tuple[Floats, Floats | None]:
    """Coordinates of the rows in their own span, shape (n, n), and its orthonormal basis (dims, n).

    The rows themselves and None where they have no more dimensions than there are rows.
    """
    if Z.shape[1] <= Z.shape[0]:
        return Z, None
    basis, R = np.linalg.qr(Z.T)
    return np.ascontiguousarray(R.T), basis


def _uar(true: Labels, answer: Labels) -> float:
    hit = true == answer
    return float(np.mean([hit[true == c].mean() for c in np.unique(true)]))
