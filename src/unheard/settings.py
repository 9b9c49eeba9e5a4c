"""Plain settings and the dataclasses that they describe: checked against the types of the fields, and back."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from unheard.errors import UsageError, unknown


def construct(maker: Any, given: Mapping[str, Any], what: str, more: Iterable[str] = ()) -> Any:
    """Make a dataclass of plain values.

    Parameters
    ----------
    maker : a dataclass.
    given : values by field; what is not said takes its default. ``name`` is left to the caller.
    what : how errors call it, such as ``encoder 'wavlm'``.
    more : further keys that errors name among the choices.

    Raises
    ------
    UsageError
        Unknown key (with near matches), or a value of another type than its field's.
    """
    hints = typing.get_type_hints(maker)
    free = [field.name for field in fields(maker) if field.init]
    values = {}
    for key, value in given.items():
        if key == "name":
            continue
        if key not in free:
            raise unknown(f"key of the {what}", key, [*free, *more])
        values[key] = fitting(value, hints[key], f"{what}: {key}")
    try:
        return maker(**values)
    except TypeError as error:
        raise UsageError(f"{what}: {error}") from error


def plain(made: Any) -> dict[str, Any]:
    """Return a dataclass' fields as plain values, tuples as lists."""
    values = {field.name: getattr(made, field.name) for field in fields(made) if field.init}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}


def between(made: Any, what: str, name: str, low: float, high: float) -> None:
    """Refuse a number outside low … high; None passes."""
    value = getattr(made, name)
    if value is not None and not (low <= value <= high and math.isfinite(value)):
        raise UsageError(f"{what}.{name} must be in {low:g} … {high:g}, found {value:g}")


def fitting(value: Any, hint: Any, what: str) -> Any:
    """Return a value as its field wants it: lists as tuples, whole numbers as floats."""
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    options = typing.get_args(hint) if union else (hint,)
    kinds = [typing.get_origin(option) or option for option in options]
    if tuple in kinds and isinstance(value, list | tuple):
        return tuple(value)
    if type(value) in kinds or (value is None and type(None) in kinds):
        return value
    if float in kinds and type(value) is int:
        return float(value)
    wanted = " or ".join("nothing" if kind is type(None) else kind.__name__ for kind in kinds)
    raise UsageError(f"{what} is {value!r}, expected {wanted}")
