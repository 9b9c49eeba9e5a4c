"""What others call clips and classes, in the words of a table: ids, and a column of numbers a class."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePath, PureWindowsPath

import polars as pl

from unheard.audio.extensions import EXTENSIONS
from unheard.corpora.columns import ALIASES, plain_name
from unheard.errors import DataError, first_five, unknown

Say = Callable[[str], None]
#: Other names for the column of ids; those of ``path`` hold the names of files.
_IDS = ("id", *ALIASES["id"], "path", *ALIASES["path"], "name")
#: Names for a column with the predicted class.
_CHOICES = (
    "prediction",
    "predicted",
    "pred",
    "predicted_label",
    "label_pred",
    "pred_label",
    "y_pred",
    "hypothesis",
)


def with_ids(frame: pl.DataFrame, table: pl.DataFrame, tested: Iterable[str], say: Say) -> pl.DataFrame:
    """Return the predictions with the table's ids in the column ``id``.

    Where a name is no id of a tested clip, it may be the path or the name of its file, with or without extension.

    Raises
    ------
    DataError
        There is no column of ids, or one is empty.
    """
    column = _column(frame, _IDS)
    if column is None:
        raise DataError(
            f"the predictions lack the column 'id' (or path, filename); found: {', '.join(frame.columns)}"
        )
    frame = frame.rename({column: "id"}).with_columns(pl.col("id").cast(pl.String))
    empty = frame.with_row_index("place", offset=1).filter(pl.col("id").is_null() | (pl.col("id") == ""))
    if len(empty):
        raise DataError(f"column {column!r} is empty in prediction {first_five(empty['place'])}")
    known = set(tested)
    names: dict[str, set[str]] = {}
    for own, path in table.filter(pl.col("id").is_in(known)).select("id", "path").iter_rows():
        for name in (path, *_names(own), *_names(path)):
            names.setdefault(name, set()).add(own)
    found = {}
    for theirs in set(frame["id"]) - known:
        fitting = next((names[name] for name in (theirs, *_names(theirs)) if name in names), set())
        if len(fitting) == 1:
            found[theirs] = next(iter(fitting))
    if found:
        first = min(found)
        say(f"{len(found)} clips are named by their files, such as {first} ({found[first]})")
    return frame.with_columns(pl.col("id").replace(found))


def _names(text: str) -> list[str]:
    """Return a path without its extension, the name of its file, and that without extension."""
    path = PureWindowsPath(text) if "\\" in text else PurePath(text)
    if path.suffix.lower() not in EXTENSIONS:
        return [path.as_posix(), path.name]
    return [path.with_suffix("").as_posix(), path.name, path.stem]


def with_numbers_a_class(frame: pl.DataFrame, names: tuple[str, ...], say: Say) -> tuple[pl.DataFrame, str]:
    """Return the predictions with a column ``p_CLASS`` or ``logit_CLASS`` for every class, and which of the two.

    Columns that are called as the classes are probabilities. Without either, a column of predicted classes becomes
    probabilities of 1 and 0.

    Raises
    ------
    DataError
        Nothing of that is there, or other classes than the table's are named.
    """
    for kind in ("p", "logit"):
        there = {column.removeprefix(f"{kind}_") for column in frame.columns if column.startswith(f"{kind}_")}
        if there and there != set(names):
            raise DataError(
                f"the columns {kind}_CLASS name other classes than the table: "
                f"missing {first_five(sorted(set(names) - there)) or 'none'}, "
                f"unknown {first_five(sorted(there - set(names))) or 'none'}; --labels gives the table others"
            )
        if there:
            return frame, kind
    if set(names) <= set(frame.columns):
        return frame.rename({name: f"p_{name}" for name in names}), "p"
    column = _column(frame, _CHOICES)
    if column is None:
        raise DataError(
            f"expected one column a class, p_{names[0]} … or logit_{names[0]} …, or the predicted classes as "
            f"'prediction'; found {', '.join(frame.columns)}"
        )
    strange = [text for text in frame[column].unique(maintain_order=True) if text not in names]
    if strange and strange[0] is None:
        empty = frame.filter(pl.col(column).is_null())["id"]
        raise DataError(f"column {column!r} is empty for {first_five(empty)}")
    if strange:
        raise DataError(f"column {column!r}: {unknown('class', strange[0], names)}")
    say(f"column {column!r} holds classes without probabilities: ECE, NLL and Brier say nothing about them")
    return frame.with_columns(
        (pl.col(column) == name).cast(pl.Float64).alias(f"p_{name}") for name in names
    ), "p"


def _column(frame: pl.DataFrame, names: Sequence[str]) -> str | None:
    """Return the first column with one of these names, however it is written; the very name comes first."""
    plain = {plain_name(column): column for column in reversed(frame.columns)}
    plain |= {plain_name(column): column for column in frame.columns if column in names}
    return next((plain[plain_name(name)] for name in names if plain_name(name) in plain), None)
