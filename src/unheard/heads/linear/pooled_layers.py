"""Which layers of an encoder a linear head sees, and the rows that they make.

A clip is an array (layers, 2, dims): for each layer the mean and the population standard deviation over frames,
zeros beyond the width of a layer that is narrower than the widest.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from unheard.errors import DataError, UsageError, first_five, unknown
from unheard.inputs import Features

#: One layer, chosen with C; the last one; the average of all; all of them concatenated.
FORMS = ("chosen", "last", "average", "concat")


def check_form(layers: str) -> None:
    """Refuse what is none of ``FORMS`` and names no layers (``concat 2-5``, ``concat 1,3,5``)."""
    if not re.fullmatch(r"chosen|last|average|concat( \d+(-\d+)?(,\d+(-\d+)?)*)?", layers):
        if layers.startswith("concat"):
            raise UsageError(f"head.layers is {layers!r}; name layers as in 'concat 2-5' or 'concat 1,3,5'")
        raise unknown("head.layers", layers, FORMS)
    for low, high in _ranges(layers):
        if high < low:
            raise UsageError(f"head.layers is {layers!r}; in {low}-{high} the first is above the last")


def candidates(layers: str, count: int) -> list[tuple[int, ...]]:
    """Return the layer numbers that a head of so many layers sees; for ``chosen``, each that it may choose."""
    if layers == "chosen":
        return [(number,) for number in range(count)]
    if layers == "last":
        return [(count - 1,)]
    named = sorted({n for low, high in _ranges(layers) for n in range(low, high + 1)})
    absent = [number for number in named if number >= count]
    if absent:
        raise UsageError(
            f"head.layers is {layers!r}, and there are layers 0 … {count - 1}: no {first_five(absent)}"
        )
    return [tuple(named or range(count))]


def pooled_matrix(
    features: Features, numbers: tuple[int, ...], statistics: str, *, average: bool
) -> NDArray[np.float64]:
    """Return one row a clip: each layer's mean (and deviation for ``mean+sd``), or the average over layers."""
    kept = 2 if statistics == "mean+sd" else 1
    chosen = list(numbers)
    # Clip by clip: the features may be read from files, and only what is needed of them is kept.
    rows = np.stack([np.asarray(clip[chosen, :kept], dtype=np.float32) for clip in features])
    if average:
        mean: NDArray[np.float64] = rows.mean(axis=1, dtype=np.float64)
        return mean.reshape(len(rows), -1)
    return rows.reshape(len(rows), -1).astype(np.float64)


def check_same_width(features: Features) -> None:
    """Refuse an average over layers of different widths: it would mix dims that mean different things."""
    layers, _, widest = features[0].shape
    dims: NDArray[np.bool_] = np.zeros((layers, widest), dtype=bool)
    for clip in features:
        dims |= (np.asarray(clip) != 0).any(axis=1)
    widths = np.where(dims.any(axis=1), dims.shape[1] - dims[:, ::-1].argmax(axis=1), 0)
    if len(set(widths.tolist())) > 1:
        raise DataError(
            f"head.layers is 'average', and the layers have {first_five(widths.tolist())} dims; "
            "an average needs layers of the same width: take 'chosen', 'last' or 'concat'"
        )


def _ranges(layers: str) -> list[tuple[int, int]]:
    found = re.findall(r"(\d+)(?:-(\d+))?", layers)
    return [(int(low), int(high or low)) for low, high in found]
