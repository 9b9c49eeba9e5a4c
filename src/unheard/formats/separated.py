"""Tables of text: CSV separated by commas, semicolons, tabs or |, and JSON lines, rows numbered as there.

Text is UTF-8, with or without a byte-order mark; lines end either way. Files are read line by line.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from unheard.errors import DataError, UnheardError, first_five
from unheard.files import regular_file
from unheard.formats import json_text

#: Bytes of a line, and characters of a row with the line breaks that it quotes.
MAX_BYTES = MAX_CHARACTERS = 2**22
LINES = (".jsonl", ".ndjson")

Rows = Iterator[tuple[int, list[str]]]

_SEPARATOR_LINE = re.compile('"?sep=([,;\t|])"?\r?\n', re.IGNORECASE)


def read_separated(
    path: Path, error: type[UnheardError] = DataError, *, legacy: bool = False, ending: str | None = None
) -> tuple[list[str], Rows]:
    """Return the header of a CSV or TSV file and its rows, numbered from 2; rows without any text are left out.

    Parameters
    ----------
    path
        A regular file. One that is called ``.csv`` is separated by what separates its header most often, any
        other by tabs; a line ``sep=;`` before the header, as spreadsheets write it, says otherwise.
    error
        The kind of error that is raised, while rows are read too.
    legacy
        Take lines that are not UTF-8 for Windows-1252.
    ending
        How a file that has no name of its own would end.

    Raises
    ------
    error
        The file cannot be read or is not UTF-8; a column stands twice; a row does not fit the header or quotes are
        not closed; a row is too long. An empty file has an empty header.
    """
    plain = read_lines(path, error, legacy=legacy)
    first = next(plain, "")
    stated = _SEPARATOR_LINE.fullmatch(first)
    row = 1
    if stated:
        row, first = 2, next(plain, "")
    lines = _Lines(path, chain([first], plain), error, row)
    delimiter = stated[1] if stated else _delimiter(ending or path.suffix, first)
    rows = _rows(path, csv.reader(lines, delimiter=delimiter, strict=True), lines, error)
    row, header = next(((number, cells) for number, cells in rows if cells), (row, []))
    header = [cell.strip() for cell in header]
    wide = len(header)
    while header and not header[-1]:
        header.pop()  # spreadsheets end rows with separators
    double = (
        sorted({name for name in header if header.count(name) > 1}) if len(set(header)) < len(header) else []
    )
    if double:
        raise error(f"{path}: row {row}: the column {first_five(double)!r} stands there more than once")
    return header, _fitting(path, header, wide, rows, error)


def read_json_lines(
    path: Path, error: type[UnheardError] = DataError
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Return the objects of a file of JSON lines, numbered from 1; empty lines are left out.

    Raises
    ------
    error
        The file cannot be read or is not UTF-8, or a line is no JSON object or too long.
    """
    for number, line in enumerate(read_lines(path, error), start=1):
        if line.strip():
            yield number, json_text.parse_object(line, f"{path}: row {number}", error)


def legacy_text(data: bytes) -> str:
    """Return the text in bytes that are UTF-8, or where they are not, Windows-1252.

    Control characters U+0080 to U+009F, which are Windows-1252 that somebody took for Latin-1, become what they
    were meant to be; line ends stay.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return _MISREAD.sub(lambda found: found[0].encode("latin-1").decode("cp1252", "replace"), text)


_MISREAD = re.compile("[\x80-\x9f]")


def read_lines(path: Path, error: type[UnheardError] = DataError, *, legacy: bool = False) -> Iterator[str]:
    """Return the lines of a file in UTF-8 one after another, with their ends, without the byte-order mark.

    With ``legacy``, a line that is not UTF-8 is taken for Windows-1252.

    Raises
    ------
    error
        No regular file, one that cannot be read or is not UTF-8, a NUL character, or a line of more than
        :data:`MAX_BYTES`.
    """
    header = ""
    try:
        with regular_file(path, error).open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(MAX_BYTES + 1), b""), start=1):
                if len(line) > MAX_BYTES:
                    raise error(
                        f"{path}: line {number} has more than the {MAX_BYTES:,} bytes that are read of one"
                    )
                if number == 1 and line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                    raise error(f"{path}: row 1: the encoding is UTF-16, expected UTF-8; save it as UTF-8")
                try:
                    text = legacy_text(line) if legacy else line.decode("utf-8")
                except UnicodeDecodeError as reason:
                    place = _place(path, line[: reason.start].decode("utf-8"), number, header)
                    found = f"byte 0x{line[reason.start]:02x}"
                    raise error(f"{path}: {place}: {found} is not UTF-8; save the table as UTF-8") from reason
                if "\0" in text:
                    raise error(f"{path}: row {number} holds a NUL character; this is not a text table")
                if number == 1:
                    header = text = text.removeprefix("\ufeff")
                yield from io.StringIO(text, newline="") if "\r" in text[:-2] else [text]
    except OSError as reason:
        raise error(f"{path}: cannot be read: {reason.strerror or reason}") from reason


def _place(path: Path, before: str, number: int, header: str) -> str:
    """Return the row and column of what stands behind ``before`` in a line."""
    if path.suffix.lower() in LINES or number == 1:
        return f"row {number}"
    delimiter = _delimiter(path.suffix, header)
    names = header.rstrip("\r\n").split(delimiter)
    column = before.count(delimiter)
    return f"row {number}, column {names[column]!r}" if column < len(names) else f"row {number}"


class _Lines:
    """The lines of a table, for the rows of ``csv``; quotes may hold line breaks, but not without end."""

    def __init__(self, path: Path, lines: Iterator[str], error: type[UnheardError], row: int) -> None:
        self._path, self._lines, self._error = path, lines, error
        self.row = row
        self.characters = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.characters += len(line)
        if self.characters > MAX_CHARACTERS:
            raise self._error(
                f"{self._path}: row {self.row} has more than the {MAX_CHARACTERS:,} characters that are read of "
                "a row; is a quote not closed?"
            )
        return line


def _rows(path: Path, reader: Iterator[list[str]], lines: _Lines, error: type[UnheardError]) -> Rows:
    try:
        for cells in reader:
            yield lines.row, cells
            lines.row, lines.characters = lines.row + 1, 0
    except csv.Error as reason:
        raise error(f"{path}: row {lines.row}: {reason}") from reason


def _fitting(path: Path, header: list[str], wide: int, rows: Rows, error: type[UnheardError]) -> Rows:
    """Yield the rows without the cells of nameless columns at the end, which must be empty."""
    for number, cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) <= wide and not any(cell.strip() for cell in cells[len(header) :]):
            cells = cells[: len(header)]
        if len(cells) != len(header):
            raise error(
                f"{path}: row {number} has {len(cells)} fields, the header has {len(header)} "
                "(quote fields that hold the separator)"
            )
        yield number, cells


def _delimiter(ending: str, line: str) -> str:
    """Return the tab for TSV, else what separates the first line most often, outside quotes."""
    if ending.lower() != ".csv":
        return "\t"
    return max(",;\t|", key=re.sub('"[^"]*"', "", line).count)
