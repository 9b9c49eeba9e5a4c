"""One root error and a few kinds: each names what was found, what was expected and what to do next.

The kinds carry the exit code of the command line: 1 findings, 2 usage, 3 bad data, 4 the machine.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from types import ModuleType
from typing import ClassVar


def escaped(text: object) -> str:
    """Return text as one line that every terminal shows as it stands.

    Names, labels and paths are written by strangers: a line break forges a line, an escape sequence clears the
    screen, a change of direction shows another name, half a surrogate pair cannot be printed at all. What
    ``str.isprintable`` says is none of the printable characters is written as in Python's ``repr``.
    """
    plain = str(text)
    if plain.isprintable():
        return plain
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in plain)


class UnheardError(Exception):
    """Root of every error that this package raises on purpose; its message is one line (:func:`escaped`)."""

    exit_code: ClassVar[int] = 3

    def __str__(self) -> str:
        return escaped(super().__str__())


class UsageError(UnheardError):
    """The call itself is off: an unknown name, a missing option, an existing output."""

    exit_code = 2


class DataError(UnheardError):
    """A table, a file or a set of predictions does not hold what it must."""

    exit_code = 3


class AudioError(DataError):
    """A recording cannot be used."""


class ProtocolError(DataError):
    """Folds cannot be made, or break what the protocol promises."""


class BundleError(DataError):
    """A bundle is altered, incomplete or of a form that cannot be read."""


class MachineError(UnheardError):
    """The environment: a missing package, a full disk, a folder in use."""

    exit_code = 4


@contextmanager
def about(source: object) -> Iterator[None]:
    """Name the file that the work inside is about in every error of this package that does not name it."""
    try:
        yield
    except UnheardError as error:
        if escaped(source) in str(error):
            raise
        raise type(error)(f"{source}: {error}") from error


def unknown(kind: str, value: object, choices: Iterable[str]) -> UsageError:
    """Return the error for a name that does not exist, with near matches first."""
    names = sorted(choices)
    near = get_close_matches(str(value), names, n=3)
    hint = (
        f"did you mean {' or '.join(repr(n) for n in near)}?" if near else f"choose from: {', '.join(names)}"
    )
    return UsageError(f"unknown {kind} {str(value)!r}; {hint}")


def first_five(items: Iterable[object]) -> str:
    """Join the first five items and say how many more there are: ``a, b, c, d, e and 7 more``."""
    listed = [str(item) for item in items]
    more = len(listed) - 5
    return ", ".join(listed[:5]) + (f" and {more} more" if more > 0 else "")


def need(module: str, extra: str) -> ModuleType:
    """Import an optional module, or say which extra brings it.

    Raises
    ------
    MachineError
        Where the module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MachineError(
            f"this needs {module.partition('.')[0]}, which is not installed: pip install 'unheard[{extra}]' "
            f"(in a checkout: '.[{extra}]')"
        ) from error
