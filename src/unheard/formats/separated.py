"""Tables of text: CSV separated by commas, semicolons or tabs, and JSON lines; rows are numbered as in the file.

Text is UTF-8, with or without a byte-order mark; lines end either way.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unheard.errors import DataError, UnheardError, first_five
from unheard.files import read_bytes
from unheard.formats import json_text

#: Bytes of a file, and characters of a row with the line breaks that it quotes.
MOST_BYTES, MOST_CHARACTERS = 2**28, 2**22
LINES = (".jsonl", ".ndjson")

Rows = Iterator[tuple[int, list[str]]]


def read_separated(path: Path, error: type[UnheardError] = DataError) -> tuple[list[str], Rows]:
    """Return the header of a CSV or TSV file and its rows, numbered from 2; rows without any text are left out.

    Parameters
    ----------
    path
        A regular file. One that is called ``.csv`` is separated by what separates its header most often, any other
        by tabs.
    error
        The kind of error that is raised, while rows are read too.

    Raises
    ------
    error
        The file cannot be read or is too large; a column stands twice; a row does not fit the header or quotes are
        not closed; a row is too long. An empty file has an empty header.
    """
    text = text_of(path, error)
    lines = _Lines(path, text, error)
    rows = _rows(path, csv.reader(lines, delimiter=_delimiter(path, text), strict=True), lines, error)
    header = [cell.strip() for cell in next((cells for _, cells in rows if cells), [])]
    double = sorted({name for name in header if header.count(name) > 1})
    if double:
        raise error(f"{path}: row 1: the column {first_five(double)!r} stands there more than once")
    return header, _fitting(path, header, rows, error)


def read_json_lines(path: Path, error: type[UnheardError] = DataError) -> Iterator[tuple[int, dict[str, Any]]]:
    """Return the objects of a file of JSON lines, numbered from 1; empty lines are left out.

    Raises
    ------
    error
        The file cannot be read or is too large, or a line is no JSON object.
    """
    for number, line in enumerate(text_of(path, error).split("\n"), start=1):
        if line.strip():
            yield number, json_text.parse_object(line, f"{path}: row {number}", error)


class _Lines:
    """The lines of a table, for the rows of ``csv``; quotes may hold line breaks, but not without end."""

    def __init__(self, path: Path, text: str, error: type[UnheardError]) -> None:
        self._path, self._text, self._error = path, io.StringIO(text, newline=""), error
        self.row = 1
        self.characters = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = next(self._text)
        self.characters += len(line)
        if self.characters > MOST_CHARACTERS:
            raise self._error(
                f"{self._path}: row {self.row} has more than the {MOST_CHARACTERS:,} characters that are read of a "
                "row; is a quote not closed, or are lines not ended?"
            )
        return line


def _rows(path: Path, reader: Iterator[list[str]], lines: _Lines, error: type[UnheardError]) -> Rows:
    try:
        for cells in reader:
            yield lines.row, cells
            lines.row, lines.characters = lines.row + 1, 0
    except csv.Error as reason:
        raise error(f"{path}: row {lines.row}: {reason}") from reason


def _fitting(path: Path, header: list[str], rows: Rows, error: type[UnheardError]) -> Rows:
    for number, cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise error(
                f"{path}: row {number} has {len(cells)} fields, the header has {len(header)} "
                "(quote fields that hold the separator)"
            )
        yield number, cells


def text_of(path: Path, error: type[UnheardError] = DataError) -> str:
    """Return the text of a table in UTF-8, without its byte-order mark.

    Raises
    ------
    error
        The file cannot be read or is too large, is not UTF-8, or holds a NUL character.
    """
    data = read_bytes(path, MOST_BYTES, error)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise error(f"{path}: row 1: the encoding is UTF-16, expected UTF-8; save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as reason:
        raise error(
            f"{path}: {_place(path, data, reason.start)}: byte 0x{data[reason.start]:02x} is not UTF-8; "
            "save the table as UTF-8"
        ) from reason
    if "\0" in text:
        row = text[: text.index("\0")].count("\n") + 1
        raise error(f"{path}: row {row} holds a NUL character; this is not a text table")
    return text


def _place(path: Path, data: bytes, position: int) -> str:
    """Row and column of a byte; text before it decodes, and Latin-1 never fails on the rest."""
    before = data[:position].decode("utf-8-sig")
    row = before.count("\n") + 1
    if path.suffix.lower() in LINES or row == 1:
        return f"row {row}"
    delimiter = _delimiter(path, before)
    header = before.split("\n", 1)[0].rstrip("\r").split(delimiter)
    column = before.rsplit("\n", 1)[-1].count(delimiter)
    return f"row {row}, column {header[column]!r}" if column < len(header) else f"row {row}"


def _delimiter(path: Path, text: str) -> str:
    """Tab for TSV, else what separates the header most often."""
    if path.suffix.lower() != ".csv":
        return "\t"
    line = text.split("\n", 1)[0]
    return max(",;\t", key=line.count)
