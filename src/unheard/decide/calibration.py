"""Temperature scaling: make probabilities as sure as they are right (Guo et al. 2017, section 4.2).

numpy alone, since prediction uses it. Logits have the shape (n, C), labels are class numbers of shape (n,).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unheard.errors import DataError, UsageError

Floats = NDArray[np.float64]

#: Temperatures are sought between these, whatever the floor: beyond them nothing changes any more.
COLDEST, HOTTEST = 0.01, 100.0


def fit_temperature(logits: Floats, labels: NDArray[np.int64], floor: float = 1.0) -> float:
    """Return the temperature that minimises the NLL of softmax(logits / T) on validation rows.

    The NLL is convex in 1/T, so its slope there, mean(E_p[z] - z_true), changes sign at most once: the root
    is found by halving, to 1e-9 relative.

    Parameters
    ----------
    logits
        Shape (n, C). Rows with NaN (no prediction) are left out.
    labels
        Shape (n,).
    floor
        Smallest T allowed. 1.0: it may only soften. 0: free, down to 0.01.

    Returns
    -------
    T in [max(floor, 0.01), 100]; max(1, floor) where the logits of every clip are equal and T does nothing.

    Raises
    ------
    DataError
        No row with a prediction, infinite logits, shapes that do not fit, or a label that is no class.
    UsageError
        A floor that is negative or above 100.
    """
    z, y = _checked(logits, labels)
    if not 0 <= floor <= HOTTEST:
        raise UsageError(f"floor of the temperature must be in 0 … {HOTTEST:g}, found {floor}")
    z = z - z.max(axis=1, keepdims=True)
    if not z.any():
        return max(1.0, floor)
    true = z[np.arange(len(y)), y].mean()

    def slope(temperature: float) -> float:
        """Return the slope of the NLL in 1/T: above 0 where T should rise."""
        p = np.exp(z / temperature)
        return float(((p * z).sum(axis=1) / p.sum(axis=1)).mean() - true)

    low, high = max(floor, COLDEST), HOTTEST
    if slope(low) <= 0:
        return low
    if slope(high) >= 0:
        return high
    while high / low > 1 + 1e-9:
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return float(np.sqrt(low * high))


def apply_temperature(logits: Floats, temperature: float) -> Floats:
    """Return softmax(logits / T) over the last axis, shape as given; rows of NaN stay NaN."""
    if not temperature > 0:
        raise UsageError(f"a temperature must be above 0, found {temperature}")
    z = np.asarray(logits, dtype=np.float64) / temperature
    p = np.exp(z - z.max(axis=-1, keepdims=True))
    result: Floats = p / p.sum(axis=-1, keepdims=True)
    return result


def _checked(logits: Floats, labels: NDArray[np.int64]) -> tuple[Floats, NDArray[np.int64]]:
    z, y = np.asarray(logits, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    if z.ndim != 2 or y.shape != z.shape[:1]:
        raise DataError(f"logits must be (clips, classes) and labels (clips,), found {z.shape} and {y.shape}")
    answered = ~np.isnan(z).any(axis=1)
    z, y = z[answered], y[answered]
    if not len(y):
        raise DataError("a temperature is fitted on validation rows, and there is none with a prediction")
    if not np.isfinite(z).all():
        raise DataError("the logits of the validation rows hold infinite values")
    if y.min() < 0 or y.max() >= z.shape[1]:
        raise DataError(f"labels must be 0 … {z.shape[1] - 1}, found {y.min()} … {y.max()}")
    return z, y
