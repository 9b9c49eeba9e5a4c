"""What a prediction table says about its test clips, as arrays.

The unit that varies is the speaker. A clip whose speaker is unknown is a unit of its own (our choice: so a
table without any speakers is drawn clip by clip, and known speakers stay whole).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unheard.errors import DataError, UsageError, first_five
from unheard.metrics.intervals import FEW
from unheard.predictions.table import answers, classes, probabilities, truth


@dataclass(frozen=True)
class Rows:
    """Labelled test rows of one system, n of them.

    Parameters
    ----------
    frame
        The rows themselves, with the columns ``unit`` (name of the unit) and ``right`` (is the answer the
        truth).
    classes
        Class names, C of them.
    label, answer
        Class numbers, shape (n,); answer is -1 where there is none.
    probabilities
        Shape (n, C); NaN where there is no answer.
    """

    frame: pl.DataFrame
    classes: tuple[str, ...]
    label: NDArray[np.int64]
    answer: NDArray[np.int64]
    probabilities: NDArray[np.float64]


def scored_rows(table: pl.DataFrame) -> Rows:
    """Take the test rows that have a label.

    Raises
    ------
    UsageError
        Several systems, conditions or enrolments in one table: a score is of one.
    DataError
        No labelled test row.
    """
    frame = table.filter((pl.col("part") == "test") & pl.col("label").is_not_null())
    if frame.is_empty():
        raise DataError("the prediction table has no test row with a label: there is nothing to score")
    for column in ("system", "condition", "enrol_k", "enrol_kind", "draw", "protocol_hash"):
        found = frame[column].unique().sort().to_list()
        if len(found) > 1:
            raise UsageError(
                f"column {column!r} holds {first_five(found)}; a score is of one: filter the table first"
            )
    # One order of rows gives one order of sums, to the last digit.
    frame = frame.sort("fold", "seed", "id")
    label, answer = truth(frame), answers(frame)
    unit = pl.concat_str(
        pl.when(pl.col("speaker").is_null()).then(pl.lit("clip ")).otherwise(pl.lit("speaker ")),
        pl.coalesce("speaker", "id"),
    )
    frame = frame.with_columns(unit.alias("unit"), pl.Series("right", label == answer))
    return Rows(frame, classes(frame), label, answer, probabilities(frame))


def units(frame: pl.DataFrame) -> tuple[list[str], NDArray[np.int64]]:
    """Names of the units, sorted, and the stratum (gender) of each, shape (units,).

    A unit of unknown gender, or one that the table gives two genders, belongs to the stratum of the unknown.
    """
    genders = pl.col("gender").drop_nulls().unique()
    each = frame.group_by("unit").agg(
        pl.when(genders.len() == 1).then(genders.cast(pl.String).min()).alias("gender")
    )
    each = each.sort("unit")
    order = ["female", "male", "other", None]
    return each["unit"].to_list(), np.array(
        [order.index(g) for g in each["gender"].to_list()], dtype=np.int64
    )


def marks(speakers: pl.Series) -> tuple[str, ...]:
    """Stamps that test speakers call for: ``UNVERIFIED`` (some are null), else ``FEW SPEAKERS`` (below ten)."""
    if speakers.null_count():
        return ("UNVERIFIED",)
    return ("FEW SPEAKERS",) if speakers.n_unique() < FEW else ()
