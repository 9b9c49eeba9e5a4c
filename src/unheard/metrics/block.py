"""The contract of a metric that is a function of sums over clips.

A block gives every clip a row of numbers. Rows add up over speakers, folds, seeds and bootstrap draws, and the
block turns any such sum into scores. So a draw of speakers costs one row of a matrix product, and every metric of
a block gets its spread over folds, its interval over speakers and its paired comparison from the same few lines
(:mod:`unheard.metrics.estimators`, :mod:`unheard.comparison.exchange`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from unheard.metrics.rows import Rows

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Metric:
    """How a metric is called: ``name`` in files, ``label`` in reports; ``percent``: written as a percentage."""

    name: str
    label: str
    percent: bool = False


class Block(Protocol):
    """Metrics that share their sums."""

    @property
    def name(self) -> str:
        """Name of the block in files."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What :meth:`scores` gives, in the order of reports."""

    def known(self, rows: Rows) -> NDArray[np.bool_]:
        """Return which rows have the truth that the block needs, shape (n,)."""

    def columns(self, rows: Rows) -> Floats:
        """Return the numbers of each row, shape (n, width); zeros where the truth is not known."""

    def scores(self, sums: Floats) -> dict[str, Floats]:
        """Return each metric, shape (...), of sums of shape (..., width); NaN where no clip was summed."""
