"""Tests on paired differences, one a speaker (or a fold, or a clip): plain functions on arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard.errors import UsageError, need
from unheard.metrics.intervals import DRAWS, FEWEST, draws_of_units, percentile

Floats = NDArray[np.float64]

#: Up to so many units every pattern of signs is tried, beyond so many patterns are drawn.
EXACT = 16
FLIPS = 100_000
#: Sums that agree within this count as equal.
TIE = 1e-12
#: With fewer speakers nothing can be shown: S speakers cannot give less than p = 2 / 2^S.
MIN_SPEAKERS = 6
LEVEL = 0.05
_ROOM = 4_000_000


def bootstrap(differences: Floats, draws: int = DRAWS, seed: int = 0) -> tuple[float, float] | None:
    """Return the 95 % percentile interval of the mean over draws of units with replacement; None below four units.

    All units are drawn alike, not within gender: the sign flips know no strata either (our choice).
    """
    d = np.asarray(differences, dtype=np.float64)
    if len(d) < FEWEST:
        return None
    rng = np.random.default_rng(seed)
    alike = np.zeros(len(d), dtype=np.int64)
    means = np.concatenate([weights @ d for weights in draws_of_units(alike, draws, rng)]) / len(d)
    return percentile(means)


def sign_flip(differences: Floats, seed: int = 0) -> float:
    """Return the two-sided p of the mean under random signs (Fisher 1935).

    If the systems are alike, each difference is as likely to be negative.

    All 2^S patterns for S ≤ 16 units; else 100,000 draws and p = (1 + hits) / (1 + draws) (Phipson and Smyth
    2010). Sums that agree within 1e-12 count as equal.

    Parameters
    ----------
    differences
        One a unit, shape (S,), S ≥ 1.
    seed
        Seed of the draws.
    """
    d = np.asarray(differences, dtype=np.float64)
    if len(d) > 1000:
        # Clips as units, thousands of them: those without a difference change no sum, and cost time.
        d = d[d != 0]
    if not d.any():
        return 1.0
    seen = abs(d.sum()) - TIE
    hits = total = 0
    for signs in sign_patterns(len(d), seed):
        hits += int((np.abs(signs @ d) >= seen).sum())
        total += len(signs)
    return hits / total if len(d) <= EXACT else (1 + hits) / (1 + total)


def smallest_shown(
    differences: Floats, interval: tuple[float, float], level: float = LEVEL, seed: int = 0
) -> float | None:
    """Return the smallest mean difference that units scattered like these could have shown.

    Keep the scatter c = d - T and move its mean to δ, in the direction of T (both directions where T is
    0). It would be shown where sign flips give p < ``level`` and the interval excludes 0. A pattern that
    takes the units M as negative reaches the observed sum where δ ≤ -mean(c over M) or δ ≤ -mean(c over
    the others), so p falls in steps at known places; and the bootstrap interval moves with δ. Both
    conditions hold just above the value returned, and |T| lies above it exactly where T itself is shown.

    Parameters
    ----------
    differences
        One a unit, shape (S,).
    interval
        Interval of their mean, by :func:`bootstrap`.
    level
        What p must stay below.
    seed
        As given to :func:`sign_flip`.

    Returns
    -------
    A difference ≥ 0 in the unit of the input; None where no difference could have been shown (S < 6, or a
    level below what S units can reach).
    """
    d = np.asarray(differences, dtype=np.float64)
    if len(d) < MIN_SPEAKERS:
        return None
    t = float(d.mean())
    low, high = interval
    sides = [side for side in (1.0, -1.0) if side * t >= 0]
    found = []
    for side in sides:
        steps = np.concatenate([_steps(signs, side * (d - t)) for signs in sign_patterns(len(d), seed)])
        # p < level allows fewer than level * patterns hits; a drawn p counts the observed pattern once more.
        allowed = level * len(steps) if len(d) <= EXACT else level * (1 + len(steps)) - 1
        most = int(np.ceil(allowed - 1e-9)) - 1  # hits that still give p < level
        if most < 0 or most >= len(steps):
            return None
        step = float(np.partition(steps, len(steps) - 1 - most)[len(steps) - 1 - most])
        if np.isinf(step):
            return None
        found.append(max(0.0, step, t - low if side > 0 else high - t))
    return max(found)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p values for being several (Holm 1979), in the order given."""
    order = np.argsort(np.asarray(p_values, dtype=np.float64), kind="stable")
    adjusted = [0.0] * len(p_values)
    reached = 0.0
    for rank, i in enumerate(order):
        reached = max(reached, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = reached
    return adjusted


def corrected_t(differences: Floats, test_to_train: float) -> tuple[float, float]:
    """Return the corrected resampled t test over folds (Nadeau and Bengio 2003, section 4).

    t = mean / sqrt((1/J + n_test/n_train) s²) with J - 1 degrees of freedom, since training parts overlap.

    Parameters
    ----------
    differences
        One a fold, shape (J,), J ≥ 2.
    test_to_train
        n_test / n_train.

    Returns
    -------
    t and its two-sided p. Without any spread t is 0 where the mean is, else infinite.
    """
    d = np.asarray(differences, dtype=np.float64)
    if len(d) < 2:
        raise UsageError(f"a t test needs two folds at least, found {len(d)}")
    mean, variance = float(d.mean()), float(d.var(ddof=1))
    if variance <= TIE**2:
        return (0.0, 1.0) if abs(mean) <= TIE else (float(np.copysign(np.inf, mean)), 0.0)
    t = mean / np.sqrt((1 / len(d) + test_to_train) * variance)
    return float(t), float(2 * need("scipy.stats", "eval").t.sf(abs(t), len(d) - 1))


def mcnemar(only_a: int, only_b: int) -> float:
    """Return the exact two-sided McNemar test (1947) of clips that A alone has right against those of B."""
    n = only_a + only_b
    if n == 0:
        return 1.0
    return float(min(1.0, 2 * need("scipy.stats", "eval").binom.cdf(min(only_a, only_b), n, 0.5)))


def sign_patterns(units: int, seed: int, width: int = 1) -> Iterator[Floats]:
    """Yield the patterns of +1 and -1 in blocks, shape (block, units): all of them, or draws.

    ``width`` is how many numbers the caller makes from each pattern, so that blocks stay small.
    """
    block = max(1, _ROOM // max(units, width))
    if units <= EXACT:
        for start in range(0, 2**units, block):
            numbers = np.arange(start, min(2**units, start + block))
            yield _as_signs((numbers[:, None] >> np.arange(units)) & 1)
        return
    rng = np.random.default_rng(seed)
    for start in range(0, FLIPS, block):
        rows = min(block, FLIPS - start)
        yield _as_signs(rng.integers(0, 2, size=(rows, units), dtype=np.int8))


def _as_signs(bits: NDArray[np.integer[Any]]) -> Floats:
    signs: Floats = 1.0 - 2.0 * bits.astype(np.float64)
    return signs


def _steps(signs: Floats, scatter: Floats) -> Floats:
    """Return for each pattern the mean difference up to which it reaches the observed sum, shape (block,)."""
    plus = (signs > 0).sum(axis=1)
    minus = len(scatter) - plus
    # The scatter sums to 0, so the sum over the plus side is minus that over the other.
    over_plus = (signs @ scatter) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.maximum(over_plus / minus, -over_plus / plus)
    # All signs alike give the observed sum itself, whatever the mean.
    return np.where((plus == 0) | (minus == 0), np.inf, steps)
