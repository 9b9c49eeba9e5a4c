"""The probe: multinomial logistic regression with balanced class weights (definitions in docs/heads.md)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from unheard.errors import need
from unheard.heads.linear import Floats, Labels, LinearHead

#: Largest component of the gradient of the mean loss. At 1e-8 the logits of clips never heard are settled to about
#: 1e-3 even where the rows are separable and C is 100; at scikit-learn's default of 1e-4 they are not (off by
#: tens, and with them the choice of C).
TOLERANCE = 1e-8


@dataclass
class Probe(LinearHead):
    """Logistic regression; logits are log probabilities up to a constant."""

    name: ClassVar[str] = "probe"

    @staticmethod
    def solve(Z: Floats, y: Labels, grid: Sequence[float]) -> Iterator[tuple[Floats, Floats]]:
        """Fit along ascending C, each fit starting from the last."""
        linear_model = need("sklearn.linear_model", "eval")
        model = linear_model.LogisticRegression(
            solver="newton-cg", class_weight="balanced", tol=TOLERANCE, max_iter=1000, warm_start=True
        )
        for C in grid:
            model.set_params(C=C).fit(Z, y)
            coef, intercept = model.coef_, model.intercept_
            if len(coef) == 1:
                # Two classes: one row of coefficients for the difference of the logits.
                coef, intercept = _both(coef / 2), _both(intercept[:, None] / 2)[:, 0]
            yield coef, intercept


def _both(row: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([-row, row])
