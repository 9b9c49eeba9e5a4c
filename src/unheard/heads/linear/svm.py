"""Linear support vector machine: one class against the rest, squared hinge loss.

For each class, with t = 1 for its rows and -1 for the others, w and b minimise

    1/2 |w|² + C Σ a_i max(0, 1 - t_i (w·x_i + b))²,

where a_i gives both sides the same total weight. Solved by Newton's method in the primal (Chapelle 2007, "Training
a support vector machine in the primal", section 3): the loss is quadratic as long as the set of rows inside the
margin stays the same, so few steps reach the minimum to rounding. The bias is not penalised.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from unheard.errors import UsageError, need
from unheard.heads.linear.inner_folds import Floats, Solver
from unheard.heads.linear.linear_head import LinearHead

STEPS = 200


@dataclass
class SVM(LinearHead):
    """Linear SVM of one class a clip; class scores are the decision values of each class against the rest."""

    name: ClassVar[str] = "svm"

    def check_target(self, of: str, dimensions: Sequence[str]) -> None:
        """Refuse what has no margin: votes, and dimensions."""
        if of == "votes" or dimensions:
            raise UsageError(
                f"the head {self.name!r} learns one class a clip, and the target has "
                f"{'dimensions' if dimensions else 'votes'}; take the probe or a network"
            )

    def solver(self) -> Solver:
        """Return :meth:`solve`."""
        return self.solve

    @staticmethod
    def solve(Z: Floats, Y: Floats, grid: Sequence[float]) -> Iterator[tuple[Floats, Floats]]:
        """Fit along ascending C, each fit starting from the last."""
        y, classes = Y.argmax(axis=1), Y.shape[1]
        X = np.hstack([Z, np.ones((len(Z), 1))])
        W = np.zeros((classes, X.shape[1]))
        for C in grid:
            for c in range(classes):
                t = np.where(y == c, 1.0, -1.0)
                weight = C * len(y) / 2 / np.where(y == c, (y == c).sum(), (y != c).sum())
                W[c] = _minimum(X, t, weight, W[c])
            yield W[:, :-1].copy(), W[:, -1].copy()


def _minimum(X: Floats, t: Floats, weight: Floats, start: Floats) -> Floats:
    """Return the minimum in (w, b); the last column of ``X`` is 1 and its weight, b, is not penalised."""
    linalg = need("scipy.linalg", "eval")
    penalty = np.ones(X.shape[1])
    penalty[-1] = 1e-12  # keeps the Hessian regular where no row is inside the margin
    w: Floats = start.copy()
    value = _objective(X, t, weight, penalty, w)
    for _ in range(STEPS):
        slack = 1 - t * (X @ w)
        inside = slack > 0
        A, a = X[inside], weight[inside]
        gradient = penalty * w - 2 * A.T @ (a * t[inside] * slack[inside])
        hessian = 2 * (A.T * a) @ A
        hessian[np.diag_indices_from(hessian)] += penalty
        step: Floats = linalg.solve(hessian, -gradient, assume_a="pos", overwrite_a=True)
        for length in 0.5 ** np.arange(30):
            moved = w + length * step
            found = _objective(X, t, weight, penalty, moved)
            if found < value:
                break
        else:
            return w
        settled = value - found <= 1e-12 * abs(found)
        w, value = moved, found
        if settled:
            return w
    return w


def _objective(X: Floats, t: Floats, weight: Floats, penalty: Floats, w: Floats) -> float:
    slack = np.maximum(0, 1 - t * (X @ w))
    return float(penalty @ (w * w) / 2 + weight @ (slack * slack))
