"""Two systems on the clips that both tested, clip by clip."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from unheard.errors import DataError, first_five
from unheard.metrics.rows import labelled_rows


@dataclass(frozen=True)
class Pairs:
    """What two systems made of the same clips.

    Parameters
    ----------
    clips
        One row a clip: ``id``, ``label`` (name), ``speaker`` (null: unknown), ``unit``, ``a`` and ``b``: the
        share of a system's runs that had the clip right (mean over seeds of the mean over folds).
    by_fold
        One row a fold and clip: ``fold``, ``id``, ``a`` and ``b`` (mean over seeds), for clips that both
        tested in the fold of that number.
    only_a, only_b
        Clips that only one of them tested; left out.
    unanswered_a, unanswered_b
        Clips of ``clips`` that a system gave no prediction to in some run; errors.
    dropped
        Clips left out because one of them gave no prediction, where that was asked.
    """

    clips: pl.DataFrame
    by_fold: pl.DataFrame
    only_a: int
    only_b: int
    unanswered_a: int
    unanswered_b: int
    dropped: int


def pair(a: pl.DataFrame, b: pl.DataFrame, answered_only: bool = False) -> Pairs:
    """Join the test rows of two prediction tables by clip.

    Raises
    ------
    DataError
        No common clip; a clip whose label or speaker differs between the tables.
    """
    rows_a, rows_b = _rows(a), _rows(b)
    each_a, each_b = _by_clip(rows_a), _by_clip(rows_b)
    both = each_a.join(each_b, on="id", suffix="_b")
    if both.is_empty():
        raise DataError(
            f"the two systems tested no clip in common ({each_a['id'][0]} … against {each_b['id'][0]} …): "
            f"compare runs on one corpus"
        )
    for column in ("label", "speaker"):
        differ = both.filter(pl.col(column) != pl.col(f"{column}_b"))["id"]
        if len(differ):
            raise DataError(f"the {column} of a clip differs between the two tables: {first_five(differ)}")
    speaker = pl.coalesce("speaker", "speaker_b")
    unit = pl.when(speaker.is_null()).then(pl.lit("clip ") + pl.col("id")).otherwise("speaker " + speaker)
    both = both.with_columns(speaker.alias("speaker"), unit.alias("unit")).sort("id")
    kept = both.filter(~pl.col("silent") & ~pl.col("silent_b")) if answered_only else both
    if kept.is_empty():
        raise DataError("no clip got a prediction from both systems")
    by_fold = _by_fold(rows_a).join(_by_fold(rows_b), on=["fold", "id"], suffix="_b")
    return Pairs(
        clips=kept.select(
            "id", "label", "speaker", "unit", pl.col("right").alias("a"), pl.col("right_b").alias("b")
        ),
        by_fold=by_fold.join(kept, on="id", how="semi")
        .select("fold", "id", pl.col("right").alias("a"), pl.col("right_b").alias("b"))
        .sort("fold", "id"),
        only_a=len(each_a) - len(both),
        only_b=len(each_b) - len(both),
        unanswered_a=int(kept["silent"].sum()),
        unanswered_b=int(kept["silent_b"].sum()),
        dropped=len(both) - len(kept),
    )


def _rows(predictions: pl.DataFrame) -> pl.DataFrame:
    rows = labelled_rows(predictions)
    return rows.frame.select(
        "fold",
        "seed",
        "id",
        "speaker",
        pl.col("label").cast(pl.String),
        pl.col("right").cast(pl.Float64),
        pl.Series("silent", rows.predicted < 0),
    )


def _by_clip(rows: pl.DataFrame) -> pl.DataFrame:
    torn = rows.group_by("id", maintain_order=True).agg(
        pl.col("label").n_unique(), pl.col("speaker").n_unique()
    )
    torn = torn.filter((pl.col("label") > 1) | (pl.col("speaker") > 1)).sort("id")
    if len(torn):
        raise DataError(f"a clip has two labels or two speakers within one table: {first_five(torn['id'])}")
    by_seed = rows.group_by("id", "label", "speaker", "seed", maintain_order=True).agg(
        pl.col("right").mean(), pl.col("silent").any()
    )
    return by_seed.group_by("id", "label", "speaker", maintain_order=True).agg(
        pl.col("right").mean(), pl.col("silent").any()
    )


def _by_fold(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.group_by("fold", "id", maintain_order=True).agg(pl.col("right").mean())
