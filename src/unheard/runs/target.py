"""What a recipe's target means for an utterance table: the matrix that heads learn from, and the truth columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from unheard.corpora.table import DIMENSIONS, classes, counted
from unheard.errors import DataError, UsageError, unknown
from unheard.targets import Floats, Target, majority, one_hot, smoothed


def target_of(
    table: pl.DataFrame, kind: str = "label", dimensions: Sequence[str] = (), smoothing: float = 0.0
) -> Target:
    """Return the target that a recipe asks of a corpus.

    Parameters
    ----------
    table
        The utterance table, whose ``label`` holds the classes in order.
    kind
        ``label``, ``majority`` or ``votes`` of the graders, or ``none`` for dimensions alone.
    dimensions
        Names among the table's dimensions.
    smoothing
        Of votes, in training (:class:`~unheard.targets.Target`).

    Raises
    ------
    UsageError
        An unknown dimension.
    DataError
        The table has no clip with what is asked for.
    """
    for name in dimensions:
        if name not in DIMENSIONS:
            raise unknown("dimension of the target", name, DIMENSIONS)
    columns = [*(["votes"] if kind in ("majority", "votes") else []), *dimensions]
    lacking = [name for name in columns if name not in table.columns or table[name].is_null().all()]
    if lacking:
        raise DataError(f"the target asks for {', '.join(lacking)}, and no clip of the corpus has any")
    if kind == "none":
        return Target((), dimensions=tuple(dimensions))
    names = classes(table)
    if not names:
        raise UsageError("the corpus has no classes; take target.classes=none and dimensions")
    return Target(names, kind, tuple(dimensions), smoothing)


def matrix(table: pl.DataFrame, target: Target) -> Floats:
    """Return what is learned of the clips of a table in its order, shape (clips, width); NaN where not known."""
    parts: list[Floats] = []
    if target.of == "votes":
        parts.append(smoothed(shares(table, target.classes), target.smoothing))
    elif target.of == "majority":
        parts.append(majority(shares(table, target.classes)))
    elif target.classes:
        numbers = table["label"].to_physical().cast(pl.Int64).fill_null(-1).to_numpy()
        parts.append(one_hot(numbers, len(target.classes)))
    parts += [
        table[name].cast(pl.Float64).fill_null(np.nan).to_numpy()[:, None] for name in target.dimensions
    ]
    return np.concatenate(parts, axis=1)


def shares(table: pl.DataFrame, names: Sequence[str]) -> Floats:
    """Return the share of the votes for each class by their weights, shape (clips, classes).

    Votes for what is no class are left out; a clip without any other vote is NaN. Which votes count where a clip
    was judged in several ways: :func:`unheard.corpora.table.counted`.
    """
    numbers = {name: number for number, name in enumerate(names)}
    counts = np.zeros((len(table), len(names)))
    for row, votes in enumerate(table["votes"].to_list()):
        for vote in counted(votes):
            if vote["label"] in numbers:
                weight = vote["weight"]
                counts[row, numbers[vote["label"]]] += 1.0 if weight is None else weight
    total = counts.sum(axis=1, keepdims=True)
    return np.where(total > 0, counts / np.where(total > 0, total, 1.0), np.nan)


def truth(table: pl.DataFrame, target: Target) -> pl.DataFrame:
    """Return the truth of each clip as columns of a prediction table, with its ``id`` and ``label``.

    ``target`` holds the shares of the votes where there are any, whatever was learned: a system that learned
    labels is scored against the graders, too. ``NAME_true`` holds a dimension.
    """
    columns = [pl.col("id"), pl.col("label") if target.classes else pl.lit(None).alias("label")]
    frame = table.select(*columns, *(pl.col(name).alias(f"{name}_true") for name in target.dimensions))
    if not target.classes or "votes" not in table.columns or table["votes"].is_null().all():
        return frame
    rows = [None if np.isnan(row).any() else row.tolist() for row in shares(table, target.classes)]
    return frame.with_columns(pl.Series("target", rows, dtype=pl.List(pl.Float64)))


def predicted_columns(
    ids: Sequence[str], outputs: Floats, probabilities: Floats, target: Target
) -> pl.DataFrame:
    """Return what was predicted of some clips as columns of a prediction table.

    ``outputs`` (clips, width) holds class scores and dimensions, ``probabilities`` (clips, classes) the calibrated
    probabilities.
    """
    count = len(target.classes)
    lists = pl.List(pl.Float64)
    columns = {"id": pl.Series("id", list(ids), dtype=pl.String)}
    if count:
        columns["logits"] = pl.Series("logits", outputs[:, :count].tolist(), dtype=lists)
        columns["probabilities"] = pl.Series("probabilities", probabilities.tolist(), dtype=lists)
    for number, name in enumerate(target.dimensions, count):
        columns[name] = pl.Series(name, outputs[:, number], dtype=pl.Float64)
    return pl.DataFrame(columns)
