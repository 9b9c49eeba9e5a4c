"""The prediction table: one row per clip, fold, seed and condition, a polars frame.

``label`` is an Enum whose categories are the class order of ``logits`` and ``probabilities``. A clip that the
system could not answer (an unreadable recording) has null logits and probabilities: it counts as an error.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unheard.errors import DataError, first_five
from unheard.files import atomic

#: Every column but ``label``, whose type holds the classes in order.
SCHEMA: dict[str, pl.DataType] = {
    "system": pl.String(),
    "corpus": pl.String(),
    "protocol": pl.String(),
    "protocol_hash": pl.String(),
    "fold": pl.Int64(),
    "seed": pl.Int64(),
    "part": pl.Enum(["val", "test"]),
    "condition": pl.String(),
    "enrol_k": pl.Int64(),
    "id": pl.String(),
    "speaker": pl.String(),
    "gender": pl.Enum(["female", "male", "other"]),
    "label": pl.String(),
    "target": pl.List(pl.Float64()),
    "logits": pl.List(pl.Float64()),
    "probabilities": pl.List(pl.Float64()),
    "activation": pl.Float64(),
    "valence": pl.Float64(),
    "dominance": pl.Float64(),
    "activation_true": pl.Float64(),
    "valence_true": pl.Float64(),
    "dominance_true": pl.Float64(),
    "settings_hash": pl.String(),
    "data_hash": pl.String(),
}
ORDER = ("system", "fold", "seed", "part", "condition", "enrol_k", "id")


def predictions(frame: pl.DataFrame, classes: tuple[str, ...]) -> pl.DataFrame:
    """Return a complete, checked and sorted prediction table.

    ``frame`` holds some columns of :data:`SCHEMA`; missing ones become null, ``condition`` ``clean``,
    ``part`` ``test``, ``fold``, ``seed`` and ``enrol_k`` 0. Probabilities are the softmax of logits where absent.
    """
    defaults = {"condition": "clean", "part": "test", "fold": 0, "seed": 0, "enrol_k": 0}
    unknown = [name for name in frame.columns if name not in SCHEMA]
    if unknown:
        raise DataError(f"unknown prediction column {first_five(unknown)}; known are: {', '.join(SCHEMA)}")
    if frame.is_empty():
        raise DataError("the prediction table is empty")
    types = {**SCHEMA, "label": pl.Enum(list(classes))}
    try:
        full = frame.select(
            pl.col(name).cast(dtype, strict=True)
            if name in frame.columns
            else pl.lit(defaults.get(name), dtype=dtype).alias(name)
            for name, dtype in types.items()
        )
    except pl.exceptions.PolarsError as error:
        raise DataError(f"a prediction column holds a value that does not fit: {error}") from error
    _check_lists(full)
    if full["probabilities"].null_count() and full["logits"].null_count() < len(full):
        full = full.with_columns(
            pl.when(pl.col("probabilities").is_null() & pl.col("logits").is_not_null())
            .then(_as_lists(softmax(logits(full)), full["logits"].is_not_null()))
            .otherwise(pl.col("probabilities"))
            .alias("probabilities")
        )
    return check(full.sort(ORDER))


def check(table: pl.DataFrame) -> pl.DataFrame:
    """Return the table if it holds, else raise a DataError naming column and the first five clips."""
    _check_lists(table)
    total = pl.col("probabilities").list.sum()
    low = pl.col("probabilities").list.min()
    bad = table.filter(((total - 1).abs() > 1e-6) | (low < -1e-9))["id"]
    if len(bad):
        raise DataError(f"column 'probabilities' must be non-negative and sum to 1: {first_five(bad)}")
    double = table.filter(pl.struct(ORDER).is_duplicated())["id"]
    if len(double):
        raise DataError(
            f"the same clip is predicted twice in a fold, seed and condition: {first_five(double)}"
        )
    return table


def _check_lists(table: pl.DataFrame) -> None:
    """Each list of numbers holds one finite number a class."""
    k = len(classes(table))
    for name in ("logits", "probabilities"):
        bad = table.filter(pl.col(name).list.len() != k)["id"]
        if len(bad):
            raise DataError(f"column {name!r} must hold {k} numbers (the classes): {first_five(bad)}")
        bad = table.filter(
            ~pl.col(name).list.eval(pl.element().is_finite()).list.all() & pl.col(name).is_not_null()
        )["id"]
        if len(bad):
            raise DataError(f"column {name!r} is not finite: {first_five(bad)}")


def classes(table: pl.DataFrame) -> tuple[str, ...]:
    """Class order of logits and probabilities."""
    dtype = table.schema["label"]
    assert isinstance(dtype, pl.Enum)
    return tuple(dtype.categories)


def truth(table: pl.DataFrame) -> NDArray[np.int64]:
    """Class numbers of the truth, shape (n,); -1 where the clip has no label."""
    return table["label"].to_physical().cast(pl.Int64).fill_null(-1).to_numpy()


def probabilities(table: pl.DataFrame) -> NDArray[np.float64]:
    """Probabilities, shape (n, classes); NaN in the rows without an answer."""
    return _matrix(table, "probabilities")


def logits(table: pl.DataFrame) -> NDArray[np.float64]:
    """Logits, shape (n, classes); NaN in the rows without an answer."""
    return _matrix(table, "logits")


def answers(table: pl.DataFrame) -> NDArray[np.int64]:
    """Most probable class, shape (n,), ties by class order; -1 in the rows without an answer."""
    p = probabilities(table)
    silent = np.isnan(p).any(axis=1)
    return np.where(silent, -1, np.where(np.isnan(p), -1.0, p).argmax(axis=1))


def softmax(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Softmax over the last axis, stable; rows of NaN stay NaN."""
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    result: NDArray[np.float64] = e / e.sum(axis=-1, keepdims=True)
    return result


def _matrix(table: pl.DataFrame, name: str) -> NDArray[np.float64]:
    k = len(classes(table))
    blank = [float("nan")] * k
    return np.array(
        [blank if row is None else row for row in table[name].to_list()], dtype=np.float64
    ).reshape(-1, k)


def _as_lists(matrix: NDArray[np.float64], present: pl.Series) -> pl.Series:
    rows = [row.tolist() if there else None for row, there in zip(matrix, present, strict=True)]
    return pl.Series("probabilities", rows, dtype=pl.List(pl.Float64))


def write_predictions(table: pl.DataFrame, path: str | os.PathLike[str]) -> None:
    """Write a sorted, checked table as Parquet; the same table gives the same bytes."""
    with atomic(path) as file:
        check(table.sort(ORDER)).write_parquet(file, compression="zstd", statistics=False)


def read_predictions(path: str | os.PathLike[str]) -> pl.DataFrame:
    """Read a table that :func:`write_predictions` wrote, and check it."""
    source = Path(path)
    try:
        frame = pl.read_parquet(source)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{source}: not a readable prediction table ({error})") from error
    missing = [name for name in SCHEMA if name not in frame.columns]
    if missing:
        raise DataError(f"{source}: not a prediction table; it lacks {first_five(missing)}")
    return check(frame)
