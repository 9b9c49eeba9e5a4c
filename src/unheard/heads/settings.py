"""Settings of heads: dataclass fields from plain values and back, with errors that name the field."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard.errors import DataError, UsageError, unknown
from unheard.files import canonical_json


def construct(cls: Any, settings: Mapping[str, Any]) -> Any:
    """Make a head of ``cls``; every value must be of the kind of the field's default."""
    defaults = {
        field.name: field.default if field.default_factory is MISSING else field.default_factory()
        for field in fields(cls)
        if field.init
    }
    values = {}
    for key, value in settings.items():
        if key == "name":
            continue
        if key not in defaults:
            raise unknown(f"setting of head {cls.name!r}", key, defaults)
        values[key] = _like(defaults[key], value, f"head.{key}")
    return cls(**values)


def settings_of(head: Any) -> dict[str, Any]:
    """Plain values of a head's fields, its name first."""
    values = {field.name: getattr(head, field.name) for field in fields(head) if field.init}
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
    return {"name": head.name, **plain}


def between(head: Any, name: str, low: float, high: float) -> None:
    """Refuse a number outside low … high."""
    value = getattr(head, name)
    if not low <= value <= high:
        raise UsageError(f"head.{name} must be in {low:g} … {high:g}, found {value:g}")


def pack(head: Any) -> dict[str, NDArray[Any]]:
    """Settings and choices as text arrays, for a head's state."""
    return {
        "settings": np.array(canonical_json(settings_of(head))),
        "chosen": np.array(canonical_json(head.chosen_)),
    }


def unpack(cls: Any, state: Mapping[str, NDArray[Any]]) -> Any:
    """Make the head whose settings and choices :func:`pack` stored; its arrays are still to be put back."""
    try:
        settings = json.loads(str(state["settings"]))
        chosen = json.loads(str(state["chosen"]))
    except (KeyError, ValueError) as error:
        raise DataError(f"not the state of a head {cls.name!r}: {error}") from error
    if settings.get("name") != cls.name:
        raise DataError(f"this is the state of a head {settings.get('name')!r}, not of {cls.name!r}")
    head = construct(cls, settings)
    head.chosen_, head.history_ = chosen, []
    return head


def _like(default: Any, value: Any, where: str) -> Any:
    """Return ``value`` as the type of ``default``, or say what was expected."""
    if default is None and value is None:
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if isinstance(default, tuple):
        if not isinstance(value, list | tuple) or not value:
            raise UsageError(f"{where}: expected a list, found {value!r}")
        return tuple(_like(default[0], item, where) for item in value)
    if isinstance(default, bool):
        fits, kind = isinstance(value, bool), "true or false"
    elif isinstance(default, Mapping):
        fits, kind = isinstance(value, Mapping), "settings"
    elif isinstance(default, int):
        fits, kind = number and float(value).is_integer(), "a whole number"
        value = int(value) if fits else value
    elif isinstance(default, float):
        fits, kind = number, "a number"
        value = float(value) if fits else value
    else:
        fits, kind = isinstance(value, str), "text"
    if not fits:
        raise UsageError(f"{where}: expected {kind}, found {value!r}")
    return value
