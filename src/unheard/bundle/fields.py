"""Fields of ``bundle.json``, read one by one: each is of its kind and inside its bounds, or refused by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NoReturn

from unheard.errors import BundleError
from unheard.formats import json_text
from unheard.formats.printable import check_printable

#: Smallest and largest number allowed among the settings of features and frontends, besides what these refuse
#: themselves: what they allocate grows with it.
BOUNDS = {"bands": (1, 512), "fft": (1, 16_384), "hop": (0.002, 1), "frame": (0.0001, 1), "seconds": (0, 60)}
OTHER_BOUNDS = (-1e6, 1e6)


def load_json(data: bytes, name: str) -> dict[str, Any]:
    """Return the JSON object in a file's bytes; its texts can be printed as they are."""
    value = json_text.parse_object(data, name, BundleError)
    try:
        check_printable(value)
    except ValueError as fault:
        raise BundleError(f"{name}: {fault}, which no text of a bundle may hold") from fault
    return value


def listed(plain: Mapping[str, Any], key: str, inside: str = "") -> list[Any]:
    """Return a list."""
    value = plain.get(key)
    if not isinstance(value, list):
        refuse(inside + key, repr(value)[:100], "a list")
    return value


def mapping(plain: Mapping[str, Any], key: str, inside: str = "") -> dict[str, Any]:
    """Return an object."""
    value = plain.get(key)
    if not isinstance(value, dict):
        refuse(inside + key, repr(value)[:100], "an object")
    return value


def text(plain: Mapping[str, Any], key: str, inside: str = "") -> str:
    """Return a text."""
    value = plain.get(key)
    if not isinstance(value, str):
        refuse(inside + key, repr(value)[:100], "text")
    return value


def texts(value: Any) -> bool:
    """Return whether a value is a list of texts."""
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def number(
    plain: Mapping[str, Any], key: str, low: float, high: float, *, whole: bool = False, inside: str = ""
) -> float:
    """Return a number in low … high."""
    value: Any = plain.get(key)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if (
        not is_number
        or not low <= value <= high
        or not math.isfinite(value)
        or (whole and value != int(value))
    ):
        kind = f"a {'whole ' if whole else ''}number in {low:g} … {high:g}" if low < high else f"{low:g}"
        refuse(inside + key, repr(value)[:100], kind)
    return float(value)


def bounded(settings: dict[str, Any], inside: str) -> dict[str, Any]:
    """Return settings of what computes features, their numbers inside ``BOUNDS``."""
    for key, value in settings.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            number(settings, key, *BOUNDS.get(key, OTHER_BOUNDS), inside=inside)
    return settings


def refuse(field: str, found: str, expected: str) -> NoReturn:
    """Raise the error of a field."""
    raise BundleError(f"bundle.json: {field} is {found}, expected {expected}")
