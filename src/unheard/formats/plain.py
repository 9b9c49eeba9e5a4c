"""What plain values may hold, whichever text they were written in."""

from __future__ import annotations

import math
import re
from typing import Any

#: Levels of lists and objects inside each other.
MAX_LEVELS = 64


def refuse_odd_values(value: Any) -> None:
    """Refuse plain values that other programs could not read, or that would be another value there.

    Raises
    ------
    ValueError
        Whole numbers of more than 64 bits, numbers that are not finite, text with half a surrogate pair (which no
        encoding can write), or more than :data:`MAX_LEVELS` levels.
    """
    items, levels = [value], 0
    while items:
        inside: list[Any] = []
        holders = 0
        for item in items:
            if isinstance(item, list):
                inside.extend(item)
                holders += 1
            elif isinstance(item, dict):
                inside.extend(item)
                inside.extend(item.values())
                holders += 1
            else:
                _refuse_odd(item)
        levels += holders > 0
        if levels > MAX_LEVELS:
            raise ValueError(f"more than {MAX_LEVELS} levels of lists and objects inside each other")
        items = inside


_HALF = re.compile("[\ud800-\udfff]")


def _refuse_odd(item: Any) -> None:
    if isinstance(item, str):
        if not item.isascii() and _HALF.search(item):
            raise ValueError(f"the text {item[:40]!a} holds half of a surrogate pair")
    elif isinstance(item, float):
        if not math.isfinite(item):
            raise ValueError(f"{item} is not a finite number")
    elif isinstance(item, int) and not -(2**63) <= item < 2**64:
        raise ValueError("a whole number of more than 64 bits")
