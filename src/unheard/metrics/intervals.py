"""The bootstrap: how a score would vary with other speakers (Efron 1979; percentile intervals).

Units (speakers) are drawn with replacement within strata (genders). A draw is a row of weights, how often
each unit was drawn, so that every additive sum of a draw is one matrix product: weights (draws, units) @
sums (units, width).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from unheard.errors import UsageError

#: Draws of every interval, unless told otherwise.
DRAWS = 10_000
#: Fewer speakers than this: the interval is marked.
FEW = 10
#: Fewer speakers than this: no interval.
FEWEST = 4
#: Numbers held at once while drawing (32 MB of float64).
_ROOM = 4_000_000


def draws_of_units(
    strata: NDArray[np.int64], draws: int, rng: np.random.Generator, width: int = 1
) -> Iterator[NDArray[np.float64]]:
    """Yield weights in blocks, shape (block, units); all blocks together have ``draws`` rows.

    Parameters
    ----------
    strata
        Number of the stratum of each unit, shape (units,). Each stratum keeps its size in every draw.
    draws
        Number of bootstrap draws, at least 1.
    rng
        Where chance comes from.
    width
        Numbers that the caller makes from each row, so that blocks stay small.
    """
    if draws < 1:
        raise UsageError(f"a bootstrap needs at least one draw, found {draws}")
    block = max(1, min(draws, _ROOM // max(len(strata), width)))
    by_stratum = [np.flatnonzero(strata == s) for s in np.unique(strata)]
    for start in range(0, draws, block):
        rows = min(block, draws - start)
        weights = np.empty((rows, len(strata)))
        for units in by_stratum:
            m = len(units)
            drawn = rng.integers(0, m, size=(rows, m)) + np.arange(rows)[:, None] * m
            weights[:, units] = np.bincount(drawn.ravel(), minlength=rows * m).reshape(rows, m)
        yield weights


def percentile(values: NDArray[np.float64], level: float = 0.95) -> tuple[float, float]:
    """Return the ends of the central percentile interval; draws with an undefined score (NaN) are left out."""
    tail = (1 - level) / 2
    low, high = np.nanquantile(values, [tail, 1 - tail])
    return float(low), float(high)
