"""Numbers as tables write them, one rule for every column that holds some."""

from __future__ import annotations

import math
import re
import sys
from typing import Any

#: Digits with a decimal point and an exponent where needed; not what only programs write (``1_000``, ``inf``).
PATTERN = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_LARGEST = sys.float_info.max
_NUMBER = re.compile(PATTERN)


def number_in(cell: Any, low: float = -math.inf, high: float = math.inf) -> float:
    """Return the number in a cell, which is a number already or its text.

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
    if isinstance(cell, str):
        value = float(cell) if len(cell) < 400 and _NUMBER.fullmatch(cell.strip()) else math.nan
    elif isinstance(cell, int | float) and not isinstance(cell, bool):
        value = float(cell) if abs(cell) <= _LARGEST else math.nan
    else:
        value = math.nan
    if not math.isfinite(value):
        hint = " (decimal points, not commas)" if "," in str(cell)[:400] else ""
        raise ValueError(
            f"{str(cell)[:60]!r} is not a number{hint}; leave the field empty where nothing is known"
        )
    if not low <= value <= high:
        raise ValueError(f"{value:g} is out of bounds, expected {low:g} to {high:g}")
    return value
