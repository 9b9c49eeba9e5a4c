"""Fields of ``bundle.json``, read one by one: each is of its kind and inside its bounds, or refused by name."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

from unheard.errors import BundleError

#: Smallest and largest number allowed among the settings of features and frontends, besides what these refuse
#: themselves: what they allocate grows with it.
BOUNDS = {"bands": (1, 1024), "fft": (1, 65_536), "hop": (0.001, 1), "seconds": (0, 60)}
OTHER_BOUNDS = (-1e6, 1e6)


def load_json(data: bytes, name: str) -> dict[str, Any]:
    """Return the JSON object in a file's bytes; NaN, infinity and doubled names are refused."""
    try:
        value = json.loads(data.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_no_doubles)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{name} is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise BundleError(f"{name} holds {type(value).__name__}, expected an object")
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


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return found
