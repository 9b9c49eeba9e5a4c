"""Plain settings and the dataclasses that they describe: one engine for features, encoders, heads and training.

A dataclass declares everything about a setting at its field::

    epochs: Annotated[int, Within(1, 10_000)] = 20
    device: Annotated[str, OneOf("cpu", "cuda"), PLACE] = "cpu"
    sha256: Annotated[str, CONTENT] = ""

:func:`construct` makes it of plain values, :func:`plain` gives them back, :func:`check` holds the values against
what the fields declare (a dataclass calls it in its ``__post_init__``), and :func:`identity` is the digest of what
was set.
"""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from enum import Enum
from functools import cache
from importlib import import_module
from typing import Annotated, Any

from unheard.errors import UsageError, unknown
from unheard.files import digest

# --- what a field declares ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Within:
    """The smallest and the largest number that a setting may have; of a list, each of its numbers."""

    low: float
    high: float


class OneOf:
    """The texts that a setting may have."""

    def __init__(self, *choices: str) -> None:
        self.choices = choices


@dataclass(frozen=True)
class Made:
    """The settings of a part, or a list of them: ``build`` makes the part."""

    build: Callable[[Mapping[str, Any]], Any]


class Mark(Enum):
    """What a setting means for the digest of all settings."""

    #: Where something lies or is computed: left out as soon as the field marked ``CONTENT`` says what it holds.
    PLACE = "place"
    #: The digest of what lies there.
    CONTENT = "content"


PLACE, CONTENT = Mark.PLACE, Mark.CONTENT

# --- making and taking apart -------------------------------------------------------------------------------------


def resolve(registry: Mapping[str, Any], settings: Mapping[str, Any], what: str) -> Any:
    """Return what a registry holds under the name in the settings, imported.

    Parameters
    ----------
    registry
        Name to a module, or to a module and the name of something in it.
    settings
        Plain values, ``name`` among them.
    what
        How errors call it, such as ``encoder``.

    Raises
    ------
    UsageError
        No name, or an unknown one (with near matches).
    """
    name = settings.get("name")
    if name is None:
        raise UsageError(f"{what}: a 'name' is missing; choose from: {', '.join(registry)}")
    if not isinstance(name, str) or name not in registry:
        raise unknown(what, name, registry)
    found = registry[name]
    if isinstance(found, str):
        return import_module(found)
    module, attribute = found
    return getattr(import_module(module), attribute)


def construct(maker: Any, given: Mapping[str, Any], what: str, more: Iterable[str] = ()) -> Any:
    """Make a dataclass of plain values.

    Parameters
    ----------
    maker
        The dataclass.
    given
        Values by field; what is not said takes its default. ``name`` is left to the caller
        where it is no field.
    what
        How errors call the settings, such as ``encoder``.
    more
        Further keys that errors name among the choices.

    Raises
    ------
    UsageError
        Unknown key (with near matches), or a value of another type than its field's.
    """
    hints = _hints(maker)
    free = [field.name for field in fields(maker) if field.init]
    values = {}
    for key, value in given.items():
        if key == "name" and key not in free:
            continue
        if key not in free:
            named = f"{what} {given['name']!r}" if "name" in given else what
            raise unknown(f"key of the {named}", key, [*free, *more])
        values[key] = fitting(value, hints[key], f"{what}.{key}")
    missing = [
        field.name
        for field in fields(maker)
        if field.init and field.name not in values and _default(field) is MISSING
    ]
    if missing:
        raise UsageError(f"{what}: {', '.join(missing)} must be said")
    return maker(**values)


def plain(made: Any) -> dict[str, Any]:
    """Return a dataclass' fields as plain values, tuples as lists."""
    return {field.name: _plain(getattr(made, field.name)) for field in fields(made) if field.init}


def check(made: Any, what: str) -> None:
    """Refuse a dataclass whose numbers or texts are not what its fields declare; None passes.

    Raises
    ------
    UsageError
        The field, what was found, and what was expected.
    """
    for name, hint in _hints(made.__class__).items():
        for declared in _declared(hint):
            value = getattr(made, name)
            if isinstance(declared, Within):
                for number in value if isinstance(value, tuple | list) else (value,):
                    between(number, declared.low, declared.high, f"{what}.{name}")
            elif isinstance(declared, OneOf) and value is not None and value not in declared.choices:
                raise unknown(f"{what}.{name}", value, declared.choices)


def between(value: float | None, low: float, high: float, where: str) -> None:
    """Refuse a number outside low … high; None passes."""
    if value is not None and not (low <= value <= high and math.isfinite(value)):
        raise UsageError(f"{where} must be in {low:g} … {high:g}, found {value:g}")


def fitting(value: Any, hint: Any, where: str) -> Any:
    """Return a value as its field wants it: lists as tuples, whole numbers as floats where floats are meant.

    Raises
    ------
    UsageError
        It is of another type.
    """
    options = _options(hint)
    for option in options:
        kind = typing.get_origin(option) or option
        if kind is Any or (kind is type(None) and value is None):
            return value
        if kind is tuple and isinstance(value, list | tuple):
            return _items(value, typing.get_args(option), where)
        if kind in (dict, Mapping) and isinstance(value, Mapping):
            return dict(value)
        if kind in (bool, str) and type(value) is kind:
            return value
        if kind in (int, float) and _is_number(value) and (kind is float or float(value).is_integer()):
            return kind(value)
        if kind not in _KINDS and isinstance(value, kind):
            return value  # a part that was made already
    wanted = " or ".join(dict.fromkeys(_KINDS.get(typing.get_origin(o) or o, str(o)) for o in options))
    example = f", such as [{value}]" if isinstance(value, str) and "a list" in wanted else ""
    raise UsageError(f"{where} is {value!r}, expected {wanted}{example}")


# --- the digest --------------------------------------------------------------------------------------------------


def identity(settings: Any, version: int | str) -> str:
    """Return the SHA-256 of what was set (:func:`differing`) and of the version of the code that uses it."""
    return digest({"settings": settings, "version": version})


def differing(made: Any) -> dict[str, Any]:
    """Return the plain values of the fields that differ from their defaults, those of the parts likewise.

    Where something lies does not enter once its content is known (``PLACE``, ``CONTENT``).
    """
    hints = _hints(made.__class__)
    known = any(CONTENT in _declared(hint) and getattr(made, name) for name, hint in hints.items())
    values = {}
    for field in fields(made):
        declared = _declared(hints[field.name])
        value = getattr(made, field.name) if field.init else None
        if not field.init or (known and PLACE in declared) or value == _default(field):
            continue
        build = next((part.build for part in declared if isinstance(part, Made)), None)
        if build is not None:
            values[field.name] = _parts(value, build)
        elif isinstance(value, Mapping) and isinstance(_default(field), Mapping):
            usual = _default(field)
            values[field.name] = {key: item for key, item in value.items() if item != usual.get(key)}
        else:
            values[field.name] = _plain(value)
    return values


def named(settings: Mapping[str, Any], made: Any) -> dict[str, Any]:
    """Return the name in the settings and what differs from the defaults of what was made of them."""
    return {"name": settings["name"], **differing(made)}


def _parts(value: Any, build: Callable[[Mapping[str, Any]], Any]) -> Any:
    if isinstance(value, Mapping):
        return named(value, build(value))
    return [named(part, build(part)) for part in value]


# --- reading annotations -----------------------------------------------------------------------------------------

_KINDS = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    tuple: "a list",
    dict: "settings",
    Mapping: "settings",
    type(None): "nothing",
}


@cache
def _hints(maker: Any) -> dict[str, Any]:
    found = typing.get_type_hints(maker, include_extras=True)
    return {field.name: found[field.name] for field in fields(maker)}


def _declared(hint: Any) -> tuple[Any, ...]:
    return hint.__metadata__ if typing.get_origin(hint) is Annotated else ()


def _options(hint: Any) -> tuple[Any, ...]:
    """Return the types that a hint allows."""
    if typing.get_origin(hint) is Annotated:
        return _options(typing.get_args(hint)[0])
    return typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def _items(values: Any, hints: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    """Return a list as a tuple of fitting items: any number of them (``...``), or as many as the hint has."""
    if not hints:
        return tuple(values)
    if hints[-1] is not Ellipsis:
        if len(values) != len(hints):
            raise UsageError(f"{where} is {list(values)!r}, expected {len(hints)} values")
        return tuple(fitting(value, hint, where) for value, hint in zip(values, hints, strict=True))
    return tuple(fitting(value, hints[0], where) for value in values)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _default(field: Any) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value
