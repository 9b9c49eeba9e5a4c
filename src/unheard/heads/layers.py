"""Which entries of an encoder a linear head sees, and the rows that they make.

A clip is an array (entries, 2, dims): for each entry the mean and the population standard deviation over frames,
zeros beyond the width of an entry that is narrower than the widest.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from unheard.errors import DataError, UsageError, first_five, unknown
from unheard.training.examples import Features

#: One entry, chosen with C; the last; the average of all; all beside each other.
FORMS = ("chosen", "last", "average", "concat")


def check_form(entries: str) -> None:
    """Refuse what is none of ``FORMS`` and names no entries (``concat 2-5``, ``concat 1,3,5``)."""
    if not re.fullmatch(r"chosen|last|average|concat( \d+(-\d+)?(,\d+(-\d+)?)*)?", entries):
        if entries.startswith("concat"):
            raise UsageError(
                f"head.entries is {entries!r}; name entries as in 'concat 2-5' or 'concat 1,3,5'"
            )
        raise unknown("head.entries", entries, FORMS)
    for low, high in _ranges(entries):
        if high < low:
            raise UsageError(f"head.entries is {entries!r}; in {low}-{high} the first is above the last")


def candidates(entries: str, count: int) -> list[tuple[int, ...]]:
    """Entry numbers that a head of so many entries sees; for ``chosen``, each that it may choose."""
    if entries == "chosen":
        return [(number,) for number in range(count)]
    if entries == "last":
        return [(count - 1,)]
    named = sorted({n for low, high in _ranges(entries) for n in range(low, high + 1)})
    absent = [number for number in named if number >= count]
    if absent:
        raise UsageError(
            f"head.entries is {entries!r}, and there are entries 0 … {count - 1}: no {first_five(absent)}"
        )
    return [tuple(named or range(count))]


def pooled_matrix(
    features: Features, numbers: tuple[int, ...], statistics: str, *, average: bool
) -> NDArray[np.float64]:
    """One row a clip: of each entry the mean, for ``mean+sd`` then the deviation; or the average over entries."""
    kept = 2 if statistics == "mean+sd" else 1
    chosen = list(numbers)
    # Clip by clip: the features may be read from files, and only what is needed of them is kept.
    rows = np.stack([np.asarray(clip[chosen, :kept], dtype=np.float32) for clip in features])
    if average:
        mean: NDArray[np.float64] = rows.mean(axis=1, dtype=np.float64)
        return mean.reshape(len(rows), -1)
    return rows.reshape(len(rows), -1).astype(np.float64)


def check_same_width(features: Features) -> None:
    """Refuse an average over entries of different widths: it would mix dims that mean different things."""
    entries, _, widest = features[0].shape
    dims: NDArray[np.bool_] = np.zeros((entries, widest), dtype=bool)
    for clip in features:
        dims |= (np.asarray(clip) != 0).any(axis=1)
    widths = np.where(dims.any(axis=1), dims.shape[1] - dims[:, ::-1].argmax(axis=1), 0)
    if len(set(widths.tolist())) > 1:
        raise DataError(
            f"head.entries is 'average', and the entries have {first_five(widths.tolist())} dims; "
            "an average needs entries of the same width: take 'chosen', 'last' or 'concat'"
        )


def _ranges(entries: str) -> list[tuple[int, int]]:
    found = re.findall(r"(\d+)(?:-(\d+))?", entries)
    return [(int(low), int(high or low)) for low, high in found]
