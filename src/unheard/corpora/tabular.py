"""Rows of a CSV, TSV, JSONL or Parquet file as mappings, numbered as a reader of the file counts them.

Text is UTF-8, with or without a byte-order mark; a CSV may be separated by commas, semicolons or tabs and end its
lines either way. The header of a CSV is row 1, the first object of a JSONL and the first row of a Parquet too.
Anything else is an error that names row and column.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from unheard.errors import DataError, first_five
from unheard.files import read_bytes, regular_file
from unheard.formats.parquet import read_parquet
from unheard.formats.separated import LINES, legacy_text, read_json_lines, read_separated

SUFFIXES = (".csv", ".tsv", ".tab", *LINES, ".parquet")
#: Rows, columns and cells of a table that is read as mappings: each row takes some hundred bytes.
MAX_ROWS, MAX_COLUMNS, MAX_CELLS = 500_000, 2_000, 5_000_000
#: Bytes of all texts of a Parquet table, where the same text may stand in every row for a few bytes.
MAX_TEXT = 2**28

Row = tuple[int, dict[str, Any]]


def read_rows(path: Path, *, columns: Sequence[str] = (), legacy: bool = False) -> list[Row]:
    """Read a table as (row number, values by column); at least one row.

    Parameters
    ----------
    path
        The table; its extension says the format.
    columns
        Columns that must be there.
    legacy
        Take a CSV that is not UTF-8 for Windows-1252, as an owner's old tables are; a table of a user's own is
        never guessed at.

    Raises
    ------
    DataError
        No such file, another format, wrong encoding, rows that do not fit the header, a column that is not there,
        no rows, or more than are read.
    """
    regular_file(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(f"{path}: not a table that can be read; expected {', '.join(SUFFIXES)}")
    if suffix == ".parquet":
        rows = _parquet(path)
    elif suffix in LINES:
        rows = _bounded(path, read_json_lines(path))
    else:
        header, separated = read_separated(path, legacy=legacy)
        rows = _bounded(
            path, ((number, dict(zip(header, cells, strict=True))) for number, cells in separated)
        )
    if not rows:
        raise DataError(f"{path}: holds no rows")
    # Every line of JSON has its own columns.
    for number, cells in rows if suffix in LINES else rows[:1]:
        need_columns(f"{path}: row {number}" if suffix in LINES else path, columns, cells)
    return rows


def need_columns(where: Path | str, columns: Iterable[str], found: Collection[str]) -> None:
    """Refuse a table, or a row, that lacks a column, with what it has."""
    lacking = [name for name in columns if name not in found]
    if lacking:
        raise DataError(
            f"{where}: lacks the column {first_five(name or 'without a name' for name in lacking)}; "
            f"found: {', '.join(map(str, found))}"
        )


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


def _bounded(path: Path, rows: Iterable[Row]) -> list[Row]:
    found: list[Row] = []
    columns: set[str] = set()
    cells = 0
    for row in rows:
        found.append(row)
        columns.update(row[1])
        cells += len(row[1])
        if len(found) > MAX_ROWS or len(columns) > MAX_COLUMNS or cells > MAX_CELLS:
            raise DataError(
                f"{path}: more than {len(found) - 1:,} rows of {len(columns):,} columns; at most {MAX_ROWS:,} "
                f"rows, {MAX_COLUMNS:,} columns and {MAX_CELLS:,} cells are read; divide it"
            )
    return found


def _parquet(path: Path) -> list[Row]:
    frame = read_parquet(path, most=MAX_CELLS)
    if len(frame) > MAX_ROWS or frame.width > MAX_COLUMNS:
        raise DataError(
            f"{path}: holds {len(frame):,} rows of {frame.width:,} columns; at most {MAX_ROWS:,} rows and "
            f"{MAX_COLUMNS:,} columns are read; divide it"
        )
    texts = frame.select(pl.col(pl.String, pl.Binary).cast(pl.Binary).bin.size().sum())
    length = sum(size for size in texts.row(0) if size is not None) if texts.width else 0
    if length > MAX_TEXT:
        raise DataError(f"{path}: its texts are of {length:,} bytes; at most {MAX_TEXT:,} are read")
    return list(enumerate(frame.to_dicts(), start=1))


def read_legacy_text(path: Path) -> str:
    """Read a text file of an owner, in UTF-8 or Windows-1252 (:func:`unheard.formats.separated.legacy_text`)."""
    return legacy_text(read_bytes(path, MAX_TEXT))
