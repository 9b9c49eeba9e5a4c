"""Ridge regression of several targets, in closed form along a grid of penalties.

For rows z and truth t of one dimension, w and b minimise Σ (t - w·z - b)² + α |w|², b without penalty (Hoerl and
Kennard 1970).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from unheard.errors import need

Floats = NDArray[np.float64]

#: Values of α among which inner folds choose, for rows of standard deviation 1 in every column.
ALPHAS = (1e-1, 1.0, 1e1, 1e2, 1e3, 1e4, 1e5)


def path(Z: Floats, truth: Floats, alphas: Sequence[float]) -> Iterator[tuple[Floats, Floats]]:
    """Yield coefficients (targets, dims) and intercepts (targets,) for each α.

    Parameters
    ----------
    Z
        Rows, shape (n, dims).
    truth
        Shape (n, targets); NaN where it is not known. A row counts for the targets that it has. A target of which
        nothing is known, as may be in an inner fold, gets the middle of the scale, 0.5.
    alphas
        In any order.
    """
    targets = truth.shape[1]
    coefs, intercepts = np.zeros((len(alphas), targets, Z.shape[1])), np.full((len(alphas), targets), 0.5)
    known = ~np.isnan(truth)
    # Targets that are known for the same rows share one decomposition.
    for rows in np.unique(known[:, known.any(axis=0)], axis=1).T:
        same = np.flatnonzero((known == rows[:, None]).all(axis=0))
        X, Y = Z[rows], truth[np.ix_(rows, same)]
        x_mean, y_mean = X.mean(axis=0), Y.mean(axis=0)
        spread, axes = need("scipy.linalg", "eval").eigh((X - x_mean).T @ (X - x_mean), driver="evd")
        turned = axes.T @ ((X - x_mean).T @ (Y - y_mean))
        for number, alpha in enumerate(alphas):
            coef = (axes @ (turned / (np.maximum(spread, 0) + alpha)[:, None])).T
            coefs[number, same] = coef
            intercepts[number, same] = y_mean - coef @ x_mean
    yield from zip(coefs, intercepts, strict=True)
