"""All-inclusive evaluation: every clip counts, whether its graders agree or not (Emo-SUPERB, arXiv 2402.13018).

The truth of a clip is the set of classes with a share of more than 1/C of the votes, the prediction the set of
classes that are more probable than 1/C. A clip without a prediction has an empty set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from unheard.metrics.block import Metric
from unheard.metrics.rows import Rows

Floats = NDArray[np.float64]

#: A share is above 1/C where it is by more than the rounding of shares.
ROUNDING = 1e-9


@dataclass(frozen=True)
class AllInclusive:
    """Macro F1 of sets of classes, for a number of classes C."""

    classes: int
    name: ClassVar[str] = "all_inclusive"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("all_inclusive_f1", "all-inclusive macro F1", percent=True),
    )

    def known(self, rows: Rows) -> NDArray[np.bool_]:
        """Return which rows have shares, shape (n,)."""
        return np.asarray(~np.isnan(rows.shares).any(axis=1), dtype=np.bool_)

    def columns(self, rows: Rows) -> Floats:
        """Return for each class whether it is in both sets, in the truth and in the prediction, shape (n, 3 C)."""
        # NaN is above nothing.
        truth = rows.shares > 1 / self.classes + ROUNDING
        found = (rows.probabilities > 1 / self.classes + ROUNDING) & self.known(rows)[:, None]
        return np.concatenate([truth & found, truth, found], axis=1).astype(np.float64)

    def scores(self, sums: Floats) -> dict[str, Floats]:
        """Return the mean F1 of the classes that are in some set, shape (...); NaN where there is none."""
        both, truth, found = np.split(sums, 3, axis=-1)
        either = truth + found
        f1 = 2 * both / np.where(either > 0, either, 1.0)
        present = (either > 0).sum(axis=-1)
        return {"all_inclusive_f1": f1.sum(axis=-1) / np.where(present > 0, present, np.nan)}
