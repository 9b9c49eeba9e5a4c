"""JSON as RFC 8259 has it, and no more: every name once, finite numbers, values that every reader takes alike."""

from __future__ import annotations

import json
import os
from typing import Any, NoReturn

from unheard.errors import DataError, UnheardError
from unheard.files import read_bytes
from unheard.formats.plain import refuse_odd_values

#: Bytes of a file, unless its reader allows more, and values of a text, counted by what separates them; a value
#: takes up to a hundred bytes.
MAX_BYTES, MAX_VALUES = 2**24, 10_000_000


def read(path: str | os.PathLike[str], error: type[UnheardError] = DataError, most: int = MAX_BYTES) -> Any:
    """Return the value in a JSON file.

    Parameters
    ----------
    path
        A regular file, UTF-8 with or without a byte-order mark.
    error
        The kind of error that is raised.
    most
        Bytes that the file may have.

    Raises
    ------
    error
        The file is missing, larger or no regular file, or its content is refused by :func:`parse`.
    """
    return parse(read_bytes(path, most, error), path, error)


def read_object(
    path: str | os.PathLike[str], error: type[UnheardError] = DataError, most: int = MAX_BYTES
) -> dict[str, Any]:
    """Return the object in a JSON file, read as by :func:`read`; another value is refused."""
    return parse_object(read_bytes(path, most, error), path, error)


def parse_object(text: str | bytes, where: object, error: type[UnheardError] = DataError) -> dict[str, Any]:
    """Return the object in a JSON text, read as by :func:`parse`; another value is refused."""
    value = parse(text, where, error)
    if not isinstance(value, dict):
        raise error(f"{where}: holds {type(value).__name__}, expected a JSON object")
    return value


def parse(text: str | bytes, where: object, error: type[UnheardError] = DataError) -> Any:
    """Return the value in a JSON text.

    Parameters
    ----------
    text
        The text, or its bytes in UTF-8.
    where
        What errors name: a file, or a place in one.
    error
        The kind of error that is raised.

    Raises
    ------
    error
        It is not UTF-8 or not JSON, holds a name twice in an object, NaN or infinity, or what
        :func:`unheard.formats.plain.refuse_odd_values` refuses.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
        values = text.count(",") + text.count("[") + text.count("{")
        if values > MAX_VALUES:
            raise ValueError(f"about {values:,} values, at most {MAX_VALUES:,} are read")
        value = _DECODER.decode(text)
        refuse_odd_values(value)
    except UnicodeDecodeError as reason:
        raise error(f"{where}: not UTF-8 (byte {reason.start}); JSON is written in UTF-8") from reason
    except json.JSONDecodeError as reason:
        raise error(
            f"{where}: not JSON: {reason.msg} (line {reason.lineno}, character {reason.colno})"
        ) from reason
    except RecursionError as reason:
        raise error(f"{where}: not JSON that is read: too many levels inside each other") from reason
    except ValueError as reason:
        raise error(f"{where}: not JSON that is read: {reason}") from reason
    return value


def _whole(text: str) -> int:
    if len(text) > 20:
        raise ValueError("a whole number of more than 64 bits")
    return int(text)


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the name {name[:100]!r} stands twice in one object")
        found[name] = value
    return found


_DECODER = json.JSONDecoder(parse_int=_whole, parse_constant=_no_constant, object_pairs_hook=_once)
