"""The probe: logistic regression of classes, ridge regression of dimensions (definitions in docs/heads.md)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from unheard.heads.linear import logistic
from unheard.heads.linear.inner_folds import Floats
from unheard.heads.linear.linear_head import LinearHead


@dataclass
class Probe(LinearHead):
    """Multinomial logistic regression to the shares of the classes, with balanced weights, and ridge regression.

    Class scores are log probabilities up to a constant.
    """

    name: ClassVar[str] = "probe"

    @staticmethod
    def solve(Z: Floats, Y: Floats, grid: Sequence[float]) -> Iterator[tuple[Floats, Floats]]:
        """Fit along ascending C, each fit starting from the last."""
        return logistic.path(Z, Y, grid)
