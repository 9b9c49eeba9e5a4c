"""What the recordings that a model was trained on were like: what another may have before it is warned of.

``training_range`` in ``bundle.json`` gives [low, high] for each measure of ``unheard.audio.quality`` (null: open
at that end), the first and last percentile over the training clips. A bundle without it warns of nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unheard.audio.quality import ENDS, Quality, Ranges, outside
from unheard.bundle.fields import mapping, number, refuse

#: Nothing that is measured is further from zero.
BOUND = 1e6


def parse_training_range(plain: Mapping[str, Any], key: str) -> dict[str, tuple[float | None, float | None]]:
    """Read and check the field ``key``; {} where there is none."""
    if plain.get(key) is None:
        return {}
    found: dict[str, tuple[float | None, float | None]] = {}
    for name, ends in mapping(plain, key).items():
        if name not in ENDS:
            refuse(key, f"with {name!r:.100}", f"only {', '.join(ENDS)}")
        if not isinstance(ends, list) or len(ends) != 2:
            refuse(f"{key}.{name}", repr(ends)[:100], "[low, high]")
        low, high = (
            None if end is None else number({name: end}, name, -BOUND, BOUND, inside=f"{key}.")
            for end in ends
        )
        if low is not None and high is not None and low > high:
            refuse(f"{key}.{name}", f"[{low:g}, {high:g}]", "low not above high")
        found[name] = (low, high)
    return found


def outside_training_range(measured: Quality | None, training_range: Ranges) -> tuple[str, ...]:
    """Return flags of a recording that leaves the range, and ``no_speech``, for which it needs none."""
    return () if measured is None else outside(measured, training_range)
