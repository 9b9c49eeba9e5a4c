"""Changes to a recipe from the command line: dotted fields, some of them short (``--set``, ``--weights``).

``encoder.model=…``, ``features.path=…``, ``layer=…``, ``storage.average=…``, ``augment=[]`` and ``adapt={}`` stand
for the field of the one input that has it; ``inputs.voice.encoder.model=…`` names the input.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

from unheard.errors import UsageError, unknown
from unheard.formats import yaml_text

#: Fields of an input that may be said without its name, and what an input must have for them.
SHORT = {
    "encoder": "encoder",
    "features": "features",
    "layer": "encoder",
    "storage": "encoder",
    "augment": "",
    "adapt": "",
}

_NUMBERS = re.compile(r"\s*[-+\d.]+(\s*,\s*[-+\d.]+)+\s*", re.ASCII)


def parse_changes(settings: Iterable[str]) -> dict[str, Any]:
    """Read ``field=value`` texts; values are YAML (``[0, 1, 2]``, ``0.3``, ``val``), or numbers with commas."""
    changes = {}
    for text in settings:
        field, equals, value = text.partition("=")
        if not equals or not field:
            raise UsageError(f"--set takes field=value, such as head.dropout=0.3; found {text!r}")
        if _NUMBERS.fullmatch(value):
            value = f"[{value}]"
        changes[field.strip()] = yaml_text.parse(value, f"--set {text}", UsageError)
    return changes


def settings_below(room: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return changes of ``room.KEY`` by their key.

    Raises
    ------
    UsageError
        A change of anything else.
    """
    settings = {}
    for field, value in changes.items():
        found, _, key = field.partition(".")
        if found != room or not key:
            raise UsageError(f"--set {field}: only settings of the {room} can be set, such as {room}.trim=30")
        settings[key] = value
    return settings


def changed(plain: Mapping[str, Any], changes: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    """Return a plain recipe with the values of dotted fields set.

    Raises
    ------
    UsageError
        An unknown field, a short one that fits no input or several, or one below a value that holds no settings.
    """
    result = deepcopy(dict(plain))
    known = [*fields, *SHORT]
    for dotted, value in changes.items():
        path = dotted.split(".")
        if path[0] not in known:
            raise unknown("recipe field", path[0], known)
        if path[0] in SHORT:
            path = ["inputs", _input_with(path[0], result.get("inputs") or {}, dotted), *path]
        _put(result, path, value, dotted)
    return result


#: Fields that do not change which system a recipe names.
_SAME_SYSTEM = ("protocol", "corpus", "seeds", "threads", "held_back", "published", "changed")


def differences(before: Any, after: Any, where: str = "") -> dict[str, Any]:
    """Return the dotted fields in which two plain recipes differ, each with its value in the first (None: absent).

    What decides nothing about the system, such as its folds and seeds, is left out.
    """
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        found: dict[str, Any] = {}
        for key in sorted({*before, *after}):
            if where or key not in _SAME_SYSTEM:
                found |= differences(before.get(key), after.get(key), f"{where}.{key}" if where else key)
        return found
    return {} if before == after else {where: before}


def _put(plain: dict[str, Any], path: list[str], value: Any, dotted: str) -> None:
    place = plain
    for depth, part in enumerate(path[:-1], 1):
        if depth == 2 and path[0] == "inputs" and part not in place:
            raise unknown("input of the recipe", part, place)
        # Groups of settings that a recipe may leave out.
        if part in ("storage", "target", "adapt"):
            place.setdefault(part, {})
        if not isinstance(place.get(part), dict):
            raise UsageError(
                f"--set {dotted}: the field {'.'.join(path[:depth])!r} of this recipe holds no settings"
            )
        place = place[part]
    place[path[-1]] = value


def _input_with(field: str, inputs: Mapping[str, Any], dotted: str) -> str:
    """Return the name of the one input that a short field can mean."""
    needed = SHORT[field]
    fitting = [name for name, own in inputs.items() if not needed or own.get(needed) is not None]
    if len(fitting) == 1:
        return fitting[0]
    if len(inputs) == 1 and field in ("encoder", "features") and "." not in dotted:
        return next(iter(inputs))
    if fitting:
        listed = " or ".join(f"inputs.{name}.{dotted}" for name in fitting)
        raise UsageError(f"--set {dotted}: {len(fitting)} inputs of this recipe have it; name one, {listed}")
    raise UsageError(
        f"--set {dotted}: no input of this recipe has {'an encoder' if needed == 'encoder' else needed}; start "
        "from one that has: `unheard recipes ravdess-hubert-base`"
    )
