"""Rows of a CSV, TSV, JSONL or Parquet file as mappings, numbered as a reader of the file counts them.

Text is UTF-8, with or without a byte-order mark; a CSV may be separated by commas, semicolons or tabs and end its
lines either way. The header of a CSV is row 1, the first object of a JSONL and the first row of a Parquet too.
Anything else is an error that names row and column.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from pathlib import Path
from typing import Any

from unheard.errors import DataError, first_five, need

SUFFIXES = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".parquet")


def read_rows(path: Path, *, legacy: bool = False) -> list[tuple[int, dict[str, Any]]]:
    """Read a table as (row number, values by column); at least one row.

    Parameters
    ----------
    path
        The table; its extension says the format.
    legacy
        Take a CSV that is not UTF-8 for Windows-1252, as an owner's old tables are; a table of a user's own is
        never guessed at.

    Raises
    ------
    DataError
        No such file, another format, wrong encoding, rows that do not fit the header, or no rows.
    """
    if not path.is_file():
        raise DataError(f"{path}: {'not a file' if path.exists() else 'no such file'}")
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(f"{path}: not a table that can be read; expected {', '.join(SUFFIXES)}")
    if suffix == ".parquet":
        rows = _parquet(path)
    elif suffix in (".jsonl", ".ndjson"):
        rows = _json_lines(path)
    else:
        rows = _separated(path, legacy)
    if not rows:
        raise DataError(f"{path}: holds no rows")
    return rows


def read_texts(path: Path) -> list[dict[str, str | None]]:
    """Read a table as :func:`read_rows` does, every value as the text that a CSV would hold; empty is None.

    What a column holds decides nothing, so an id of ``0001`` keeps its zeros. Every row has every column.
    """
    rows = [cells for _, cells in read_rows(path)]
    columns = dict.fromkeys(name for cells in rows for name in cells)
    return [{name: _as_text(cells.get(name)) for name in columns} for cells in rows]


def _as_text(cell: Any) -> str | None:
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)  # a column of whole numbers with gaps, as other tools write it
    return None if cell is None else str(cell).strip() or None


def _separated(path: Path, legacy: bool) -> list[tuple[int, dict[str, Any]]]:
    text = read_legacy_text(path) if legacy else _text(path)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(path, text), strict=True)
    rows: list[tuple[int, dict[str, Any]]] = []
    header: list[str] = []
    number = 0
    try:
        for number, cells in enumerate(reader, start=1):
            if not header:
                header = _header(path, [cell.strip() for cell in cells])
            elif any(cell.strip() for cell in cells):
                if len(cells) != len(header):
                    raise DataError(
                        f"{path}: row {number} has {len(cells)} fields, the header has {len(header)} "
                        "(quote fields that hold the separator)"
                    )
                rows.append((number, dict(zip(header, cells, strict=True))))
    except csv.Error as error:
        raise DataError(f"{path}: row {number + 1}: {error}") from error
    return rows


def _header(path: Path, names: list[str]) -> list[str]:
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise DataError(f"{path}: row 1: the column {first_five(double)!r} stands there more than once")
    return names


def _delimiter(path: Path, text: str) -> str:
    """Tab for TSV, else what separates the header most often, outside quotes."""
    if path.suffix.lower() != ".csv":
        return "\t"
    line = re.sub('"[^"]*"', "", text.split("\n", 1)[0])
    return max(",;\t", key=line.count)


def _json_lines(path: Path) -> list[tuple[int, dict[str, Any]]]:
    rows = []
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(
                f"{path}: row {number} is not JSON: {error.msg} (character {error.colno})"
            ) from error
        if not isinstance(value, dict):
            raise DataError(
                f"{path}: row {number} is {type(value).__name__}, expected an object {{column: value}}"
            )
        rows.append((number, value))
    return rows


def _parquet(path: Path) -> list[tuple[int, dict[str, Any]]]:
    polars = need("polars", "eval")
    try:
        frame = polars.read_parquet(path)
    except (OSError, polars.exceptions.PolarsError) as error:
        raise DataError(f"{path}: not a readable Parquet file ({error})") from error
    return list(enumerate(frame.to_dicts(), start=1))


def read_legacy_text(path: Path) -> str:
    """Read a text file of an owner: UTF-8, or where it is not, Windows-1252.

    Control characters U+0080 to U+009F, which are Windows-1252 that somebody took for Latin-1, become what they
    were meant to be; line ends stay.
    """
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return _MISREAD.sub(lambda found: found[0].encode("latin-1").decode("cp1252", "replace"), text)


_MISREAD = re.compile("[\x80-\x9f]")


def _text(path: Path) -> str:
    data = path.read_bytes()
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError(f"{path}: row 1: the encoding is UTF-16, expected UTF-8; save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: {_place(path, data, error.start)}: byte 0x{data[error.start]:02x} is not UTF-8; "
            "save the table as UTF-8"
        ) from error
    if "\0" in text:
        row = text[: text.index("\0")].count("\n") + 1
        raise DataError(f"{path}: row {row} holds a NUL character; this is not a text table")
    return text


def _place(path: Path, data: bytes, position: int) -> str:
    """Row and column of a byte; text before it decodes, and Latin-1 never fails on the rest."""
    before = data[:position].decode("utf-8-sig")
    row = before.count("\n") + 1
    if path.suffix.lower() in (".jsonl", ".ndjson") or row == 1:
        return f"row {row}"
    delimiter = _delimiter(path, before)
    header = before.split("\n", 1)[0].rstrip("\r").split(delimiter)
    column = before.rsplit("\n", 1)[-1].count(delimiter)
    return f"row {row}, column {header[column]!r}" if column < len(header) else f"row {row}"
