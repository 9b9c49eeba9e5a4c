"""Any corpus: a table (CSV, TSV, JSONL, Parquet) in our columns, or a folder that holds one folder a class.

Columns are those of docs/tables.md, or are called as tables usually call them (:mod:`unheard.corpora.columns`).
Paths in
a table are relative to the table's folder. Classes are in name order, but a Parquet table whose ``label`` is an
Enum keeps its own. The corpus is called ``generic`` unless the table has a column ``corpus``.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, time
from decimal import Decimal
from pathlib import Path, PurePath
from typing import Any

import polars as pl

from unheard.corpora.class_folders import class_folders
from unheard.corpora.columns import columns_of, remarks
from unheard.corpora.folder import LeftOut, Remark, duration, piece_name
from unheard.corpora.genders import VERSION, WORDS, gender_in
from unheard.corpora.names import known
from unheard.corpora.paths import place_of
from unheard.corpora.table import BOUNDS, DIMENSIONS, WEIGHTS
from unheard.corpora.tabular import SUFFIXES, read_rows
from unheard.corpora.times import in_seconds
from unheard.errors import DataError, first_five
from unheard.formats import json_text
from unheard.formats.numbers import number_in
from unheard.formats.parquet import read_schema

NAME = "generic"
DESCRIPTION = "Any corpus, from a table in our columns or from a folder a class"
CITATION = "whatever its owner asks for"
LICENCE = "the table's own column"
LABELS: tuple[str, ...] = ()  # found in the data
LANGUAGES: tuple[str, ...] = ()

_CHANNELS = ("speech", "song")
#: What a name may be in a frame or a Parquet file.
_TEXTS = (str, int, float, Decimal, date, time, PurePath)
_VOTE = {"grader", "label", "weight", "modality", *DIMENSIONS}


def scan(root: Path) -> Iterator[dict[str, Any] | LeftOut | Remark]:
    """Yield a row for every row of a table, or for every recording below a class folder.

    A row whose file is missing stays, with an unknown duration: the run counts it as a bad file.

    Raises
    ------
    DataError
        The table cannot be read, or a value does not hold: names file, row and column of the first five.
    """
    if root.is_dir():
        yield from class_folders(root)
        return
    if not root.exists():
        raise DataError(f"{root}: no such file or folder")
    if root.suffix.lower() not in SUFFIXES:
        raise DataError(
            f"{root}: expected a folder that holds one folder a class, or a table ({', '.join(SUFFIXES)})"
        )
    numbered = read_rows(root)
    found = list(dict.fromkeys(str(name) for _, row in numbered for name in row))
    columns = columns_of(root, found)
    yield from (Remark(f"{root.name}: {text}") for text in remarks(columns, found))
    rows = rows_of(root, root.parent, columns, numbered)
    yield from rows
    yield from _gender_remarks(root.name, columns, numbered)
    written = (str(cells[columns["path"]]) for _, cells in numbered)
    turned = sum("\\" in text and "\\" not in row["path"] for text, row in zip(written, rows, strict=True))
    if turned:
        yield Remark(f"{root.name}: {turned} paths are written with \\ and were read with /")


def classes(root: Path, rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the classes in order: a Parquet table's own, else those of the rows by name."""
    if root.suffix.lower() == ".parquet" and root.is_file():
        dtype = read_schema(root).get("label")
        if isinstance(dtype, pl.Enum):
            return tuple(dtype.categories)
    return tuple(sorted({row["label"] for row in rows if row["label"] is not None}))


def rows_of(
    table: Path | str,
    folder: Path,
    columns: Mapping[str, str],
    numbered: Sequence[tuple[int, Mapping[str, Any]]],
) -> list[dict[str, Any]]:
    """Return the rows of utterances from those of a table, each with its number.

    Parameters
    ----------
    table
        Named in errors.
    folder
        What relative paths begin at.
    columns
        Our column -> the table's, as of :func:`unheard.corpora.columns.columns_of`.
    numbered
        Row numbers and cells.

    Raises
    ------
    DataError
        A value does not hold, no row has a label, or two have the same id.
    """
    rows, problems = [], []
    for number, cells in numbered:
        row: dict[str, Any] = {}
        for name, column in columns.items():
            try:
                row[name] = _value(name, cells.get(column))
            except ValueError as error:
                problems.append(f"row {number}, column {column!r}: {error}")
        if row.get("path") is None and "path" in row:
            problems.append(
                f"row {number}, column {columns['path']!r}: empty, expected the path of a recording"
            )
        rows.append(row)
    if problems:
        raise DataError(f"{table}: {first_five(problems)}")
    if all(row["label"] is None for row in rows):
        raise DataError(f"{table}: column {columns['label']!r} is empty in every row")
    whole: dict[str, float | None] = {}  # many rows may be pieces of one file
    for row in rows:
        row["path"] = str(place_of(folder, row["path"]))
        if row.get("video") is not None:
            row["video"] = str(place_of(folder, row["video"]))
        if "end" not in columns and row.get("start") is not None and row.get("duration") is not None:
            row["end"] = row["start"] + row["duration"]  # a piece, as manifests name it
    for row, name in zip(rows, _ids(folder, rows), strict=True):
        path = row["path"]
        if row.get("id") is None:
            row["id"] = name
        if row.get("duration") is None:
            if path not in whole:
                whole[path] = duration(Path(path))
            row["duration"] = _length(whole[path], row.get("start"), row.get("end"))
    _refuse_doubles(table, [(number, row["id"]) for (number, _), row in zip(numbered, rows, strict=True)])
    return rows


def _gender_remarks(
    table: str, columns: Mapping[str, str], numbered: Sequence[tuple[int, Mapping[str, Any]]]
) -> Iterator[Remark]:
    """Say which words of a table were taken for which gender, where they are other words than ours."""
    texts = {str(cells.get(columns.get("gender", ""))).strip() for _, cells in numbered}
    taken = {text: WORDS[text.casefold()] for text in sorted(texts) if text.casefold() in WORDS}
    said = [f"{text} is {word}" for text, word in taken.items() if text.casefold() not in (word, word[0])]
    if said:
        yield Remark(f"{table}: column {columns['gender']!r}: {', '.join(said)} (genders, version {VERSION})")


def _value(name: str, cell: Any) -> Any:
    """Return the value of a cell in the type of our column; empty is null."""
    if isinstance(cell, str):
        cell = cell.strip()
    if cell is None or cell == "":
        return None
    if name == "votes":
        return _votes(cell)
    if name in ("start", "end", "duration"):
        cell = in_seconds(cell)
    if name in BOUNDS:
        return None if cell is None else number_in(cell, *BOUNDS[name])
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)  # a column of whole numbers with gaps, as other tools write it
    if name == "path" and isinstance(cell, (dict, bytes)):
        raise ValueError("holds the sound itself; read the dataset with `unheard prepare huggingface`")
    if (
        not isinstance(cell, _TEXTS)
        or isinstance(cell, bool)
        or (isinstance(cell, float) and not math.isfinite(cell))
    ):
        raise ValueError(f"{str(cell)[:60]!r} is not a text")
    text = str(cell)
    if name == "path" and not Path(text).name:
        raise ValueError(f"{text!r} is not the path of a recording")
    if name == "gender" and known(text) is not None:
        return gender_in(text)
    if name == "channel":
        if text.lower() not in _CHANNELS:
            raise ValueError(f"{text!r}, expected {', '.join(_CHANNELS)} or nothing")
        return text.lower()
    return text


def _votes(cell: Any) -> list[dict[str, Any]]:
    """Return the votes as a list of objects, or as its JSON where the table is text."""
    try:
        votes = json_text.parse(cell, "votes") if isinstance(cell, str) else cell
    except DataError as error:
        raise ValueError(str(error)) from None
    if not isinstance(votes, list) or not all(isinstance(v, dict) and set(v) <= _VOTE for v in votes):
        raise ValueError(f"expected a list of objects with {', '.join(sorted(_VOTE))}")
    made: list[dict[str, Any]] = [
        {
            "grader": None if vote.get("grader") is None else str(vote["grader"]),
            "label": None if vote.get("label") is None else str(vote["label"]),
            "weight": 1.0 if vote.get("weight") is None else number_in(vote["weight"], *WEIGHTS),
            "modality": None if vote.get("modality") is None else str(vote["modality"]),
            **{
                name: None if vote.get(name) is None else number_in(vote[name], *BOUNDS[name])
                for name in DIMENSIONS
            },
        }
        for vote in votes
    ]
    if any(all(vote[name] is None for name in ("label", *DIMENSIONS)) for vote in made):
        raise ValueError("a vote without a label and dimensions")
    if sum(vote["weight"] for vote in made) == 0:
        raise ValueError("the votes sum to 0")
    return made


def _ids(folder: Path, rows: list[dict[str, Any]]) -> list[str]:
    """Return the base name without extension where no other file has it, else the path without extension.

    Pieces of one file are told apart by their times.
    """
    paths = [Path(row["path"]) for row in rows]
    count = Counter(path.stem for path in set(paths))
    pieces = Counter(paths)
    here = folder.absolute()
    inside = [path.relative_to(here) if path.is_relative_to(here) else path for path in paths]
    names = [
        path.stem if count[path.stem] == 1 else relative.with_suffix("").as_posix()
        for path, relative in zip(paths, inside, strict=True)
    ]
    return [
        name if pieces[path] == 1 else piece_name(name, row.get("start"), row.get("end"))
        for name, path, row in zip(names, paths, rows, strict=True)
    ]


def _refuse_doubles(table: Path | str, ids: list[tuple[int, str]]) -> None:
    count = Counter(name for _, name in ids)
    double = [f"row {number}: {name!r}" for number, name in ids if count[name] > 1]
    if double:
        raise DataError(
            f"{table}: the same id stands in several rows: {first_five(double)}; "
            "give each clip its own value in a column 'id'"
        )


def _length(whole: float | None, start: float | None, end: float | None) -> float | None:
    """Return the seconds of the piece from ``start`` to ``end`` (None: the file's own ends)."""
    stop = whole if end is None else end
    seconds = None if stop is None else stop - (start or 0.0)
    return seconds if seconds is not None and seconds > 0 else None
