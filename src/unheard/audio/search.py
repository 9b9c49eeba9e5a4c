"""Searching a folder for recordings: what every command that is given a folder takes from it, and in which order.

Hidden files and folders, whose names begin with a dot (``.ipynb_checkpoints``, the ``._x.wav`` of macOS), and
``__MACOSX`` are left out. Links to folders are followed, but never into a folder above them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HIDDEN = "hidden"


@dataclass(frozen=True)
class LeftOut:
    """A file (or a row, or a value) that is not taken, and why."""

    path: str
    reason: str


def walk(root: Path, inside: Path = Path(), above: frozenset[str] = frozenset()) -> Iterator[Path | LeftOut]:
    """Yield the files below a folder, relative to it and in name order, and what is left out of them.

    Nothing is read ahead: the first file of a folder of many is found at once.

    Parameters
    ----------
    root
        The folder.
    inside
        Where below it to begin.
    above
        Real paths of the folders above that.
    """
    here = os.path.realpath(root / inside)
    if here in above:
        yield LeftOut(inside.as_posix(), "a link back to a folder above it")
        return
    try:
        names = sorted(entry.name for entry in (root / inside).iterdir())
    except OSError as error:
        yield LeftOut(inside.as_posix(), f"cannot be opened: {error.strerror}")
        return
    for name in names:
        path = inside / name
        if name.startswith(".") or name == "__MACOSX":
            yield LeftOut(path.as_posix(), HIDDEN)
        elif os.path.isdir(root / path):  # noqa: PTH112 - Path.is_dir raises where a folder may not be entered
            yield from walk(root, path, above | {here})
        elif os.path.isfile(root / path):  # noqa: PTH113 - the same
            yield path
        else:
            yield LeftOut(path.as_posix(), "neither a file nor a folder (a broken link?)")
