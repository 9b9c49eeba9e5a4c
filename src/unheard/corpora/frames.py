"""Utterance tables from polars and pandas frames: ours as they are, and any other as the CSV of it is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from unheard.corpora import generic
from unheard.corpora.columns import columns_of
from unheard.corpora.names import COLUMNS, known, with_known
from unheard.corpora.table import REQUIRED, SCHEMA, check, complete, one_gender, utterances
from unheard.corpora.tabular import Row
from unheard.errors import DataError, about, first_five

_NAME = "the frame"


def accept(frame: Any) -> pl.DataFrame:
    """Return any polars or pandas frame as a checked, complete utterance table, sorted by id.

    A polars frame with the columns and types of :data:`unheard.corpora.table.SCHEMA` is checked and taken as it
    is. Any other frame is read as the CSV of it would be: columns under their usual names, others passed over, ids
    from paths, relative paths from the current folder, values as their text. Classes are in the order of the type
    of ``label`` where it has one (an Enum, a pandas Categorical), else by name. Rows are counted from 1.

    Raises
    ------
    DataError
        It is no such frame, lacks a column, or a value does not hold: names row and column.
    """
    if isinstance(frame, pl.DataFrame) and _is_ours(frame):
        return complete(check(_with_known_names(frame))).sort("id")
    numbered, order = _rows(frame)
    if not numbered:
        raise DataError(f"{_NAME} holds no rows")
    columns = columns_of(_NAME, numbered[0][1])
    rows = [with_known(row) for row in generic.rows_of(_NAME, Path.cwd(), columns, numbered)]
    corpora = sorted({row.get("corpus") or generic.NAME for row in rows})
    if len(corpora) > 1:
        raise DataError(
            f"{_NAME}: one table holds one corpus; found {first_five(corpora)} in column 'corpus'"
        )
    used = {row["label"] for row in rows} - {None}
    ordered = order.get(columns["label"], ())
    labels = tuple(ordered) if used <= set(ordered) else tuple(sorted(used))
    with about(_NAME):
        return complete(utterances(one_gender(rows), corpus=corpora[0], labels=labels))


def _is_ours(frame: pl.DataFrame) -> bool:
    """Return whether a frame has columns of ours alone, in their types, and those that must be there."""
    return set(REQUIRED) <= set(frame.columns) and all(
        isinstance(dtype, pl.Enum) if name == "label" else dtype == SCHEMA.get(name)
        for name, dtype in frame.schema.items()
    )


def _with_known_names(table: pl.DataFrame) -> pl.DataFrame:
    for name in (name for name in COLUMNS if table.schema.get(name) == pl.String):
        nobody = [text for text in table[name].drop_nulls().unique() if known(text) is None]
        table = table.with_columns(pl.col(name).replace(dict.fromkeys(nobody)))
    return table


def _rows(frame: Any) -> tuple[list[Row], dict[str, list[str]]]:
    """Return the rows of a frame as plain values, and the categories of its columns in order."""
    if isinstance(frame, pl.DataFrame):
        order = {
            name: list(dtype.categories) for name, dtype in frame.schema.items() if isinstance(dtype, pl.Enum)
        }
        return list(enumerate(frame.to_dicts(), start=1)), order
    if type(frame).__module__.partition(".")[0] != "pandas" or not hasattr(frame, "columns"):
        raise DataError(f"expected a polars or pandas frame, found {type(frame).__name__}")
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()  # an index of file, start and end, as audformat has
    columns = [str(name) for name in frame.columns]
    double = sorted({name for name in columns if columns.count(name) > 1})
    if double:
        raise DataError(f"{_NAME}: the column {first_five(double)!r} stands there more than once")
    series = [frame.iloc[:, place] for place in range(len(columns))]
    cells = [[_plain(cell) for cell in column.tolist()] for column in series]
    order = {
        name: [str(c) for c in column.dtype.categories if (column == c).any()]
        for name, column in zip(columns, series, strict=True)
        if hasattr(column.dtype, "categories")
    }
    rows = (dict(zip(columns, values, strict=True)) for values in zip(*cells, strict=True))
    return list(enumerate(rows, start=1)), order


def _plain(cell: Any) -> Any:
    """Return the cell of a pandas frame as a Python value; what pandas has for missing ones is None."""
    if hasattr(cell, "tolist") and not isinstance(cell, memoryview):
        cell = cell.tolist()  # numpy's numbers and arrays
    if type(cell).__name__ in ("NAType", "NaTType") or (isinstance(cell, float) and cell != cell):
        return None
    return cell
