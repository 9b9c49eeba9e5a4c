"""The points of learning curves that are done: JSON lines, one a point, with which a stopped command goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unheard.errors import DataError, UsageError
from unheard.files import write_text
from unheard.formats import json_text

#: A point: the recipe, the size and the draw.
Key = tuple[str, int, int]


class Points:
    """Points of one folder's curves.

    Parameters
    ----------
    path
        The file; its first line says what the points are of, and every other line is a point.
    of
        What they are of (protocol, data, folds …): plain values.
    resume
        Whether a file that is there is gone on with; else it is begun anew.

    Raises
    ------
    UsageError
        The file's points are of something else.
    DataError
        A line but the last cannot be read.
    """

    def __init__(self, path: Path, of: Mapping[str, Any], *, resume: bool) -> None:
        self.path = path
        self._found: dict[Key, dict[str, Any]] = {}
        if resume and path.is_file():
            self._read(of)
        else:
            write_text(path, _line(of))

    def get(self, recipe: str, settings_hash: str, n: int, draw: int) -> dict[str, Any] | None:
        """Return a point; None where it is not done, or was done with other settings of the recipe."""
        point = self._found.get((recipe, n, draw))
        return point if point is not None and point["settings_hash"] == settings_hash else None

    def add(self, point: Mapping[str, Any]) -> None:
        """Write a point at the end of the file."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_line(point))
        self._found[point["recipe"], point["n"], point["draw"]] = dict(point)

    def _read(self, of: Mapping[str, Any]) -> None:
        first, *lines = self.path.read_text(encoding="utf-8").split("\n")
        before = json_text.parse_object(first, f"{self.path}, line 1")
        other = [name for name in of if before.get(name) != of[name]]
        if other:
            raise UsageError(
                f"{self.path} is about another {', '.join(other)}; choose another folder, or start again "
                "(--force, force=True in Python)"
            )
        whole = [first]
        # What stands after the last line break was cut off while it was written: that point is done again.
        for number, text in enumerate(lines[:-1], 2):
            point = json_text.parse_object(text, f"{self.path}, line {number}")
            try:
                self._found[point["recipe"], point["n"], point["draw"]] = point
            except KeyError as error:
                raise DataError(f"{self.path}, line {number}: a point lacks {error}") from None
            whole.append(text)
        write_text(self.path, "".join(f"{text}\n" for text in whole))


def _line(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n"
