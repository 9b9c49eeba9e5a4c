"""The probe: logistic regression of classes, ridge regression of dimensions (definitions in docs/heads.md)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from unheard.heads.linear import logistic
from unheard.heads.linear.inner_folds import Solver
from unheard.heads.linear.linear_head import LinearHead


@dataclass
class Probe(LinearHead):
    """Multinomial logistic regression to the shares of the classes, and ridge regression of dimensions.

    Class scores are log probabilities up to a constant.

    Parameters
    ----------
    balanced
        Whether every class weighs the same in training, however many clips it has; else every clip does, which
        suits a score that is weighted by clips.
    """

    name: ClassVar[str] = "probe"

    balanced: bool = True

    def solver(self) -> Solver:
        """Return the path of logistic regressions along ascending C, each fit starting from the last."""
        return partial(logistic.path, balanced=self.balanced)
