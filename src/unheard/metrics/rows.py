"""What a prediction table says about its test clips, as arrays.

The unit that varies is the speaker. A clip whose speaker is unknown is a unit of its own (our choice: so a
table without any speakers is drawn clip by clip, and known speakers stay whole).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unheard.errors import DataError, UsageError, first_five
from unheard.metrics.intervals import FEW
from unheard.predictions.table import (
    classes,
    dimension_truth,
    dimensions,
    predicted_classes,
    predicted_dimensions,
    probabilities,
    shares,
    truth,
)

Floats = NDArray[np.float64]

#: The column ``unit`` of a table: the speaker, or the clip where the speaker is unknown.
UNIT = pl.concat_str(
    pl.when(pl.col("speaker").is_null()).then(pl.lit("clip ")).otherwise(pl.lit("speaker ")),
    pl.coalesce("speaker", "id"),
).alias("unit")


@dataclass(frozen=True)
class Rows:
    """Test rows of one system that have some part of the truth, n of them.

    Parameters
    ----------
    frame
        The rows themselves, with the columns ``unit`` (name of the unit) and ``right`` (is the predicted the
        label; null without a label).
    classes
        Class names, C of them.
    label, predicted
        Class numbers, shape (n,); -1 where there is none.
    probabilities
        Shape (n, C); NaN where there is no prediction.
    shares
        Shares of the votes, shape (n, C); NaN where they are not known.
    dimensions
        Names of the dimensions whose truth some row has, D of them.
    predicted_dimensions, dimension_truth
        Dimensions on [0, 1], shape (n, D); NaN where there is no prediction, or the truth is not known.
    """

    frame: pl.DataFrame
    classes: tuple[str, ...]
    label: NDArray[np.int64]
    predicted: NDArray[np.int64]
    probabilities: Floats
    shares: Floats
    dimensions: tuple[str, ...]
    predicted_dimensions: Floats
    dimension_truth: Floats

    def where(self, chosen: NDArray[np.bool_]) -> Rows:
        """Return some of the rows, by a mask of shape (n,)."""
        if chosen.all():
            return self
        arrays = (
            "label", "predicted", "probabilities", "shares", "predicted_dimensions", "dimension_truth",
        )  # fmt: skip
        parts = {name: getattr(self, name)[chosen] for name in arrays}
        return replace(self, frame=self.frame.filter(pl.Series(chosen)), **parts)

    def of_dimensions(self, names: tuple[str, ...]) -> Rows:
        """Return the rows with some of their dimensions, in this order."""
        if names == self.dimensions:
            return self
        numbers = [self.dimensions.index(name) for name in names]
        return replace(
            self,
            dimensions=names,
            predicted_dimensions=self.predicted_dimensions[:, numbers],
            dimension_truth=self.dimension_truth[:, numbers],
        )

    @property
    def answered(self) -> NDArray[np.bool_]:
        """Which rows have a prediction, a class or a dimension, shape (n,)."""
        there: NDArray[np.bool_] = (self.predicted >= 0) | (~np.isnan(self.predicted_dimensions)).any(axis=1)
        return there


def rows_with_truth(table: pl.DataFrame) -> Rows:
    """Take the test rows that have a label, shares of votes, or the truth of some dimension.

    Raises
    ------
    UsageError
        Several systems, conditions or enrolments in one table: a score is of one.
    DataError
        No such row.
    """
    frame = table.filter(pl.col("part") == "test")
    names = dimensions(frame)
    truths = ("label", "target", *(f"{name}_true" for name in names))
    frame = frame.filter(pl.any_horizontal(pl.col(name).is_not_null() for name in truths))
    if frame.is_empty():
        raise DataError("the prediction table has no test row with a label, shares or dimensions to score")
    for column in ("system", "condition", "enrol_k", "enrol_kind", "draw", "protocol_hash"):
        found = frame[column].unique().sort().to_list()
        if len(found) > 1:
            raise UsageError(
                f"column {column!r} holds {first_five(found)}; a score is of one: filter the table first"
            )
    # One order of rows gives one order of sums, to the last digit.
    frame = frame.sort("fold", "seed", "id")
    label, predicted = truth(frame), predicted_classes(frame)
    right = pl.when(pl.col("label").is_not_null()).then(pl.Series(label == predicted))
    return Rows(
        frame=frame.with_columns(UNIT, right.alias("right")),
        classes=classes(frame),
        label=label,
        predicted=predicted,
        probabilities=probabilities(frame),
        shares=shares(frame),
        dimensions=names,
        predicted_dimensions=predicted_dimensions(frame, names),
        dimension_truth=dimension_truth(frame, names),
    )


def labelled_rows(table: pl.DataFrame) -> Rows:
    """Take the test rows that have a label; errors as :func:`rows_with_truth`, and a DataError without any."""
    there = table.filter(pl.col("label").is_not_null())
    if there.filter(pl.col("part") == "test").is_empty():
        raise DataError("the prediction table has no test row with a label: there is nothing to score")
    return rows_with_truth(there)


def units(frame: pl.DataFrame) -> tuple[list[str], NDArray[np.int64]]:
    """Return the names of the units, sorted, and the stratum (gender) of each, shape (units,).

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
    """Return the stamps of the test speakers: ``UNVERIFIED`` (some are null) or ``FEW SPEAKERS`` (below ten)."""
    if speakers.null_count():
        return ("UNVERIFIED",)
    return ("FEW SPEAKERS",) if speakers.n_unique() < FEW else ()
