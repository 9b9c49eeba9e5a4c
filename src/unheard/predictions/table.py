"""The prediction table: one row per clip, fold, seed, condition and enrolment, a polars frame.

``label`` is an Enum whose categories are the class order of ``target``, ``logits`` and ``probabilities``. It is
null where the graders do not agree, and it has no categories where the system predicts dimensions alone.
``target`` is the distribution that the system was trained to give, one share a class. ``activation``, ``valence``
and ``dominance`` are predictions on [0, 1], and the same names with ``_true`` are the truth. A clip that the
system could not predict (an unreadable recording) has null logits, probabilities and dimensions: it
counts as an error.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unheard.errors import DataError, about, first_five
from unheard.files import write_bytes
from unheard.formats.parquet import read_parquet

#: Dimensions that a table may hold, each with its truth in the column ``NAME_true``.
DIMENSIONS = ("activation", "valence", "dominance")
#: What a system knew of a test speaker: nothing, clips, neutral clips, all clips that it predicts, the recording.
ENROLMENTS = ("none", "clips", "neutral", "all", "recording")
#: Every column; the type of ``label`` is an Enum that holds the classes in order.
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
    "enrol_kind": pl.Enum(list(ENROLMENTS)),
    "draw": pl.Int64(),
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
#: The key of a row, and the order of the rows.
ORDER = ("system", "fold", "seed", "part", "condition", "enrol_k", "enrol_kind", "draw", "id")
#: Values of the columns that a frame may leave out; other missing columns are null.
DEFAULTS: dict[str, str | int] = {
    "condition": "clean",
    "part": "test",
    "fold": 0,
    "seed": 0,
    "enrol_k": 0,
    "enrol_kind": "none",
    "draw": 0,
}
#: Columns that tables written before enrolment came in do not have.
_LATER = ("enrol_kind", "draw")


def predictions(frame: pl.DataFrame, classes: tuple[str, ...]) -> pl.DataFrame:
    """Return a complete, checked and sorted prediction table.

    ``frame`` holds some columns of :data:`SCHEMA`; missing ones take their value of :data:`DEFAULTS` or become
    null. Probabilities are the softmax of logits where absent. ``classes`` is empty where the system predicts
    dimensions alone.
    """
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
            else pl.lit(DEFAULTS.get(name), dtype=dtype).alias(name)
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
    for name in (*DEFAULTS, "id"):
        if table[name].null_count():
            raise DataError(f"column {name!r} is empty in {table[name].null_count()} rows")
    _check_lists(table)
    for name in ("target", "probabilities"):
        total, low = pl.col(name).list.sum(), pl.col(name).list.min()
        bad = table.filter(((total - 1).abs() > 1e-6) | (low < -1e-9))["id"]
        if len(bad):
            raise DataError(f"column {name!r} must be non-negative and sum to 1: {first_five(bad)}")
    _check_dimensions(table)
    double = table.filter(pl.struct(ORDER).is_duplicated())["id"]
    if len(double):
        raise DataError(
            f"the same clip is predicted twice in a fold, seed and condition: {first_five(double)}"
        )
    return table


def _check_lists(table: pl.DataFrame) -> None:
    """Check that each list of numbers holds one finite number a class."""
    k = len(classes(table))
    for name in ("target", "logits", "probabilities"):
        if not k and table[name].null_count() < len(table):
            raise DataError(f"column {name!r} holds numbers, but the table has no classes")
        bad = table.filter(pl.col(name).list.len() != k)["id"]
        if len(bad):
            raise DataError(f"column {name!r} must hold {k} numbers (the classes): {first_five(bad)}")
        bad = table.filter(
            ~pl.col(name).list.eval(pl.element().is_finite().fill_null(False)).list.all()
            & pl.col(name).is_not_null()
        )["id"]
        if len(bad):
            raise DataError(f"column {name!r} is not finite: {first_five(bad)}")


def _check_dimensions(table: pl.DataFrame) -> None:
    """Check that predictions are finite and truths lie on the scale of the table, [0, 1]."""
    for name in DIMENSIONS:
        bad = table.filter(~pl.col(name).is_finite())["id"]
        if len(bad):
            raise DataError(f"column {name!r} is not finite: {first_five(bad)}")
        bad = table.filter(~pl.col(f"{name}_true").is_between(0, 1))["id"]
        if len(bad):
            raise DataError(f"column '{name}_true' must lie on [0, 1]: {first_five(bad)}")


def classes(table: pl.DataFrame) -> tuple[str, ...]:
    """Return the class order of targets, logits and probabilities; empty without predicted classes."""
    dtype = table.schema["label"]
    assert isinstance(dtype, pl.Enum)
    return tuple(dtype.categories)


def dimensions(table: pl.DataFrame) -> tuple[str, ...]:
    """Return the names of the dimensions that the system predicts and whose truth some clip has."""
    return tuple(
        name
        for name in DIMENSIONS
        if all(table[column].null_count() < len(table) for column in (name, f"{name}_true"))
    )


def clean(table: pl.DataFrame) -> pl.DataFrame:
    """Return the clean rows of a system that knew nothing of the speaker, which the main scores count."""
    return table.filter(
        (pl.col("condition") == "clean") & (pl.col("enrol_k") == 0) & (pl.col("enrol_kind") == "none")
    )


def truth(table: pl.DataFrame) -> NDArray[np.int64]:
    """Return the class numbers of the truth, shape (n,); -1 where the clip has no label."""
    return table["label"].to_physical().cast(pl.Int64).fill_null(-1).to_numpy()


def shares(table: pl.DataFrame) -> NDArray[np.float64]:
    """Return the distributions that were trained for, shape (n, classes); NaN in the rows that have none."""
    return _matrix(table, "target")


def predicted_dimensions(table: pl.DataFrame, names: tuple[str, ...]) -> NDArray[np.float64]:
    """Return the predicted dimensions, shape (n, len(names)); NaN where there is no prediction."""
    return _columns(table, names)


def dimension_truth(table: pl.DataFrame, names: tuple[str, ...]) -> NDArray[np.float64]:
    """Return true dimensions, shape (n, len(names)); NaN where they are not known."""
    return _columns(table, tuple(f"{name}_true" for name in names))


def probabilities(table: pl.DataFrame) -> NDArray[np.float64]:
    """Return the probabilities, shape (n, classes); NaN in the rows without a prediction."""
    return _matrix(table, "probabilities")


def logits(table: pl.DataFrame) -> NDArray[np.float64]:
    """Return the logits, shape (n, classes); NaN in the rows without a prediction."""
    return _matrix(table, "logits")


def predicted_classes(table: pl.DataFrame) -> NDArray[np.int64]:
    """Return the most probable class, shape (n,), ties by class order; -1 in the rows without a prediction."""
    p = probabilities(table)
    if not p.shape[1]:
        return np.full(len(p), -1, dtype=np.int64)
    silent = np.isnan(p).any(axis=1)
    return np.where(silent, -1, np.where(np.isnan(p), -1.0, p).argmax(axis=1))


def softmax(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the softmax over the last axis, stable; rows of NaN stay NaN."""
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    result: NDArray[np.float64] = e / e.sum(axis=-1, keepdims=True)
    return result


def _matrix(table: pl.DataFrame, name: str) -> NDArray[np.float64]:
    k = len(classes(table))
    blank = [float("nan")] * k
    return np.array(
        [blank if row is None else row for row in table[name].to_list()], dtype=np.float64
    ).reshape(len(table), k)


def _columns(table: pl.DataFrame, names: tuple[str, ...]) -> NDArray[np.float64]:
    columns = [table[name].fill_null(float("nan")).to_numpy() for name in names]
    return np.stack(columns, axis=1) if columns else np.zeros((len(table), 0))


def _as_lists(matrix: NDArray[np.float64], present: pl.Series) -> pl.Series:
    rows = [row.tolist() if there else None for row, there in zip(matrix, present, strict=True)]
    return pl.Series("probabilities", rows, dtype=pl.List(pl.Float64))


def write_predictions(table: pl.DataFrame, path: str | os.PathLike[str]) -> None:
    """Write a sorted, checked table as Parquet; the same table gives the same bytes."""
    written = io.BytesIO()  # polars would hide from us why a file cannot be written
    check(table.sort(ORDER)).write_parquet(written, compression="zstd", statistics=False)
    write_bytes(path, written.getbuffer())


def read_predictions(path: str | os.PathLike[str]) -> pl.DataFrame:
    """Read a table that :func:`write_predictions` wrote, and check it.

    A table that was written before the columns of enrolment came in is one without enrolment.
    """
    source = Path(path)
    frame = read_parquet(source)
    missing = [name for name in SCHEMA if name not in frame.columns and name not in _LATER]
    if missing:
        raise DataError(f"{source}: not a prediction table; it lacks {first_five(missing)}")
    later = [
        pl.lit(DEFAULTS[name], dtype=SCHEMA[name]).alias(name) for name in _LATER if name not in frame.columns
    ]
    frame = frame.with_columns(later).select(list(SCHEMA))
    with about(source):
        _check_types(frame)
        return check(frame)


def _check_types(table: pl.DataFrame) -> None:
    for name, dtype in table.schema.items():
        if name == "label" and not isinstance(dtype, pl.Enum):
            raise DataError(f"column 'label' is {dtype}, expected an Enum of the classes in order")
        if name != "label" and dtype != SCHEMA[name]:
            raise DataError(f"column {name!r} is {dtype}, expected {SCHEMA[name]}")
    if table.is_empty():
        raise DataError("the prediction table is empty")
