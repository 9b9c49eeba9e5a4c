"""The ground that a model was trained on, in ``bundle.json``: what a recording may have before it is warned of.

``domain`` gives [low, high] for each measure of ``unheard.audio.quality`` (null: open at that end), the first and
last percentile over the training clips. A bundle without it warns of nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unheard.audio.quality import ENDS, Quality, Ranges, outside
from unheard.bundle.fields import mapping, number, refuse

#: Nothing that is measured is further from zero.
BOUND = 1e6


def parse_domain(plain: Mapping[str, Any]) -> dict[str, tuple[float | None, float | None]]:
    """Read and check the field ``domain``; {} where there is none."""
    if plain.get("domain") is None:
        return {}
    found: dict[str, tuple[float | None, float | None]] = {}
    for name, ends in mapping(plain, "domain").items():
        if name not in ENDS:
            refuse("domain", f"with {name!r:.100}", f"only {', '.join(ENDS)}")
        if not isinstance(ends, list) or len(ends) != 2:
            refuse(f"domain.{name}", repr(ends)[:100], "[low, high]")
        low, high = (
            None if end is None else number({name: end}, name, -BOUND, BOUND, inside="domain.")
            for end in ends
        )
        if low is not None and high is not None and low > high:
            refuse(f"domain.{name}", f"[{low:g}, {high:g}]", "low not above high")
        found[name] = (low, high)
    return found


def outside_domain(measured: Quality | None, domain: Ranges) -> tuple[str, ...]:
    """Return flags of a recording that leaves the ground; none where one of the two is missing."""
    return outside(measured, domain) if measured is not None and domain else ()
