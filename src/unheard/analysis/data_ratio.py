"""How many times as much training data one system needs as another for the same score.

A learning curve is read between its sizes on a straight line over the logarithm of the number, and nowhere beyond
them: a score that the smallest number already passes, or that the largest does not reach, bounds what is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Draws of draws, of which the interval is made.
RESAMPLES = 2_000
#: Fewer draws than this: no interval.
FEWEST_DRAWS = 3


@dataclass(frozen=True)
class DataRatio:
    """n of system ``more`` over n of system ``fewer`` at one score.

    Parameters
    ----------
    fewer, more
        Names of the systems; ``fewer`` is the one that reaches the higher score.
    score
        The score at which they are compared, a fraction.
    n_fewer, n_more
        What each needs for it; None where its curve only bounds it.
    ratio
        Their ratio; None where one of them is only bounded.
    least, most
        Bounds of the ratio, equal to it where it is known; None where it is open.
    low, high
        Ends of the 95 % interval over draws of the training clips; None where open, or with fewer than three.
    draws
        Number of draws that both have.
    """

    fewer: str
    more: str
    score: float
    n_fewer: float | None
    n_more: float | None
    ratio: float | None
    least: float | None
    most: float | None
    low: float | None
    high: float | None
    draws: int

    def plain(self) -> dict[str, Any]:
        """Return plain values for a JSON file."""
        return asdict(self)


@dataclass(frozen=True)
class Curve:
    """Scores of a system: ``sizes`` (points,) ascending, and ``scores`` (draws, points)."""

    name: str
    sizes: tuple[int, ...]
    scores: Floats

    def mean(self, draws: NDArray[np.int64] | None = None) -> Floats:
        """Return the mean over some of the draws, all where None, shape (points,)."""
        found: Floats = (self.scores if draws is None else self.scores[draws]).mean(axis=0)
        return found


def data_ratio(first: Curve, second: Curve, score: float | None = None, seed: int = 0) -> DataRatio:
    """Compare what two systems need.

    Parameters
    ----------
    first, second
        Their curves; draw d of both learned from the same clips, and only draws that both have are used.
    score
        The score at which they are compared; None takes the best that the weaker one reaches, found anew in
        every resample.
    seed
        Of the resampling: draws are drawn with replacement, the same ones for both systems.
    """
    draws = min(len(first.scores), len(second.scores))
    every = np.arange(draws)
    stronger = first.mean(every).max() >= second.mean(every).max()
    fewer, more = (first, second) if stronger else (second, first)
    asked, of_fewer, of_more = _needs(fewer, more, every, score)
    least, most = of_more[0] / of_fewer[1], _over(of_more[1], of_fewer[0])
    low = high = None
    if draws >= FEWEST_DRAWS:
        chance = np.random.default_rng(seed)
        lows, highs = np.empty(RESAMPLES), np.empty(RESAMPLES)
        for k in range(RESAMPLES):
            _, a, b = _needs(fewer, more, chance.integers(0, draws, draws), score)
            lows[k], highs[k] = b[0] / a[1], _over(b[1], a[0])
        # Between an open end and a closed one there is nothing to interpolate.
        low = _closed(float(np.quantile(lows, 0.025, method="lower")))
        high = _closed(float(np.quantile(highs, 0.975, method="higher")))
    return DataRatio(
        fewer.name, more.name, asked, _exact(of_fewer), _exact(of_more), _exact((least, most)),
        _closed(least), _closed(most), low, high, draws,
    )  # fmt: skip


def needed(sizes: Sequence[int], scores: Floats, score: float) -> tuple[float, float]:
    """Return the bounds of the number that a score needs; they are equal where the curve crosses it.

    ``scores`` (points,) are those at ascending ``sizes``. ``(0, smallest)`` where the smallest number is more than
    enough, ``(largest, inf)`` where none is.
    """
    reached = np.flatnonzero(scores >= score)
    if not len(reached):
        return float(sizes[-1]), float("inf")
    k = int(reached[0])
    if scores[k] == score:
        return float(sizes[k]), float(sizes[k])
    if k == 0:
        return 0.0, float(sizes[0])
    share = (score - scores[k - 1]) / (scores[k] - scores[k - 1])
    n = float(np.exp((1 - share) * np.log(sizes[k - 1]) + share * np.log(sizes[k])))
    return n, n


def _needs(
    fewer: Curve, more: Curve, draws: NDArray[np.int64], score: float | None
) -> tuple[float, tuple[float, float], tuple[float, float]]:
    strong, weak = fewer.mean(draws), more.mean(draws)
    asked = float(weak.max()) if score is None else score
    return asked, needed(fewer.sizes, strong, asked), needed(more.sizes, weak, asked)


def _over(above: float, below: float) -> float:
    return float("inf") if below == 0 else above / below


def _exact(bounds: tuple[float, float]) -> float | None:
    return bounds[0] if bounds[0] == bounds[1] else None


def _closed(value: float) -> float | None:
    return value if 0 < value < float("inf") else None
