"""The probe: multinomial logistic regression with balanced class weights (definitions in docs/heads.md)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from unheard.heads import logistic
from unheard.heads.inner_folds import Floats, Labels
from unheard.heads.linear import LinearHead


@dataclass
class Probe(LinearHead):
    """Logistic regression; logits are log probabilities up to a constant."""

    name: ClassVar[str] = "probe"

    @staticmethod
    def solve(Z: Floats, y: Labels, grid: Sequence[float]) -> Iterator[tuple[Floats, Floats]]:
        """Fit along ascending C, each fit starting from the last."""
        return logistic.path(Z, y, grid)
