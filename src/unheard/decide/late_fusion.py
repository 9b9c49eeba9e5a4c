"""Late fusion: p = sum_m w_m softmax(z_m / T_m), one prediction from those of several systems for the same clips.

numpy alone. Systems stand in the order they are given in; weights lie in [0, 1] and sum to 1. Logits and
probabilities have the shape (n, C); a row of NaN is a clip without a prediction. Nothing depends on
the order of the systems: in another order the same systems get the same numbers and the same probabilities, to the
last digit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unheard.decide.calibration import apply_temperature, fit_temperature
from unheard.errors import DataError, UsageError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_Units = tuple[int, ...]  # a weight for each system, in twentieths
_Key = Callable[[_Units], tuple[int, float, _Units]]

#: Weights are multiples of 1/20.
STEPS = 20
#: More systems than this have more than 20,000 points of step 0.1.
MAX_SYSTEMS = 8
#: Probabilities below this are clipped in the logarithm.
TINY = 1e-12


@dataclass(frozen=True)
class Fusion:
    """What is fitted on validation rows: a temperature and a weight for each system."""

    temperatures: tuple[float, ...]
    weights: tuple[float, ...]


def fit_fusion(logits: Sequence[Floats], labels: Ints) -> Fusion:
    """Fit the temperature of each system, then the weights, on validation rows.

    A temperature minimises the NLL of its own system. The weights maximise the accuracy of the fusion; ties go to
    the smaller NLL, then to the system that is stronger alone. Two systems: 0, 0.05, …, 1. More: every point of
    step 0.1, then 0.05 is moved from one system to another as long as that is better (our choice). Every single
    system is among the points, so on these rows the fusion is never less accurate than its best system. On others
    it can be.

    Parameters
    ----------
    logits
        One array (n, C) a system, of the same clips in the same order.
    labels
        Class numbers, shape (n,).

    Raises
    ------
    DataError
        Shapes that do not fit, labels that are no classes, or a system without any prediction.
    UsageError
        No system, or more than :data:`MAX_SYSTEMS`.
    """
    if not 1 <= len(logits) <= MAX_SYSTEMS:
        raise UsageError(f"weights are fitted for 1 … {MAX_SYSTEMS} systems, found {len(logits)}")
    temperatures = tuple(fit_temperature(z, labels) for z in logits)
    probabilities = [apply_temperature(z, t) for z, t in zip(logits, temperatures, strict=True)]
    order = strongest_first(probabilities, labels)

    def key(units: _Units) -> tuple[int, float, _Units]:
        fused = weighted_mean(probabilities, [unit / STEPS for unit in units])
        return *_quality(fused, labels), tuple(units[m] for m in order)

    step = 1 if len(probabilities) == 2 else 2
    best = max(_points(len(probabilities), STEPS, step), key=key)
    if step > 1:
        best = _refined(best, key)
    return Fusion(temperatures, tuple(units / STEPS for units in best))


def fuse(logits: Sequence[Floats], fusion: Fusion) -> Floats:
    """Return the fused probabilities, shape (n, C); :func:`weighted_mean` says what a missing prediction does."""
    if not len(logits) == len(fusion.temperatures) == len(fusion.weights):
        raise UsageError(f"a fusion of {len(fusion.weights)} systems was given {len(logits)}")
    probabilities = [apply_temperature(z, t) for z, t in zip(logits, fusion.temperatures, strict=True)]
    return weighted_mean(probabilities, fusion.weights)


def weighted_mean(probabilities: Sequence[Floats], weights: Sequence[float]) -> Floats:
    """Return the mean of the systems' probabilities, shape (n, C), by weight.

    Where a system has no prediction, the others are mixed with the weights that they have among themselves. A clip
    that no system with a weight above 0 predicted has no prediction, so weight 1 gives a single system as it is.

    Raises
    ------
    DataError
        Shapes that differ.
    UsageError
        Not one weight a system, a negative one, or a sum that is not 1.
    """
    shapes = {np.shape(one) for one in probabilities}
    if len(shapes) != 1 or len(next(iter(shapes))) != 2:
        listed = ", ".join(str(shape) for shape in sorted(shapes))
        raise DataError(f"systems are fused on the same clips and classes, (n, C); found {listed or 'none'}")
    given = np.asarray(weights, dtype=np.float64)
    if given.shape != (len(probabilities),) or (given < 0).any() or abs(given.sum() - 1) > 1e-9:
        raise UsageError(
            f"expected {len(probabilities)} weights of 0 or more that sum to 1, found {list(weights)}"
        )
    stacked = np.stack(probabilities).astype(np.float64)
    answered: NDArray[np.bool_] = ~np.any(np.isnan(stacked), axis=2)
    share = np.where(answered, given[:, None], 0.0)
    # Summands in order of size: a sum of floats would otherwise depend on the order of the systems.
    parts = np.sort(np.where(answered[..., None], stacked, 0.0) * share[..., None], axis=0).sum(axis=0)
    total = np.sort(share, axis=0).sum(axis=0)
    mean: Floats = np.divide(
        parts, total[:, None], out=np.full(parts.shape, np.nan), where=total[:, None] > 0
    )
    return mean


def equal_weights(systems: int) -> tuple[float, ...]:
    """Return the weights of the plain mean, which nothing is fitted for."""
    return (1 / systems,) * systems


def strongest_first(probabilities: Sequence[Floats], labels: Ints) -> list[int]:
    """Return the order of the systems by accuracy, then NLL, then their bytes; only equal ones keep theirs."""
    qualities = [_quality(one, labels) for one in probabilities]
    return sorted(
        range(len(probabilities)),
        key=lambda m: (-qualities[m][0], -qualities[m][1], np.ascontiguousarray(probabilities[m]).tobytes()),
    )


def _quality(probabilities: Floats, labels: Ints) -> tuple[int, float]:
    """Return the number of correct predictions and the mean log likelihood; more of both is better.

    A clip without a prediction is an error, and uniform in the likelihood. What agrees to 12 digits is equal.
    """
    silent: NDArray[np.bool_] = np.any(np.isnan(probabilities), axis=1)
    p = np.where(silent[:, None], 1 / probabilities.shape[1], probabilities)
    right = (p.argmax(axis=1) == labels) & ~silent
    likelihood = np.log(np.maximum(p[np.arange(len(labels)), labels], TINY)).mean()
    return int(right.sum()), round(float(likelihood), 12)


def _points(systems: int, units: int, step: int) -> Iterator[_Units]:
    """Yield every distribution of ``units`` among systems in multiples of ``step``."""
    if systems == 1:
        yield (units,)
        return
    for first in range(0, units + 1, step):
        for rest in _points(systems - 1, units - first, step):
            yield (first, *rest)


def _refined(units: _Units, key: _Key) -> _Units:
    """Move one unit from a system to another, the best move each time, until none is better."""
    while True:
        moves = [
            tuple(n - (m == giver) + (m == taker) for m, n in enumerate(units))
            for giver, has in enumerate(units)
            for taker in range(len(units))
            if has and taker != giver
        ]
        best = max((units, *moves), key=key)
        if best == units:
            return units
        units = best
