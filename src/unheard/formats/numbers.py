"""Numbers as tables write them: one rule for every column that holds some."""

from __future__ import annotations

import math
from typing import Any


def number_in(cell: Any, low: float = -math.inf, high: float = math.inf) -> float:
    """Return the number in a cell, which is a number already or its text.

    Text is what Python's ``float`` takes, but for what only programs write: ``1_000``, digits of other scripts,
    ``inf`` and ``nan``.

    Parameters
    ----------
    cell
        What the table holds.
    low, high
        The smallest and the largest number allowed.

    Raises
    ------
    ValueError
        It is no number, not finite, or out of bounds.
    """
    value = _number(cell)
    if not math.isfinite(value):
        hint = " (decimal points, not commas)" if "," in str(cell)[:60] else ""
        raise ValueError(
            f"{str(cell)[:60]!r} is not a number{hint}; leave the field empty where nothing is known"
        )
    if not low <= value <= high:
        raise ValueError(f"{value:g} is out of bounds, expected {low:g} to {high:g}")
    return value


def _number(cell: Any) -> float:
    try:
        if isinstance(cell, str):
            return float(cell) if cell.isascii() and "_" not in cell else math.nan
        if isinstance(cell, int | float) and not isinstance(cell, bool):
            return float(cell)
    except (ValueError, OverflowError):
        pass
    return math.nan
