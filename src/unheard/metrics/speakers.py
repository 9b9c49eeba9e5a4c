"""Speakers one by one, and how much of the spread is theirs."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unheard.metrics.rows import Rows, labelled_rows, units

Floats = NDArray[np.float64]


def per_speaker(predictions: pl.DataFrame) -> pl.DataFrame:
    """Return the scores of each known speaker, sorted by name.

    Returns
    -------
    Columns ``speaker``, ``gender`` (null where unknown or contradictory), ``n`` (clips), ``accuracy`` and
    ``uar`` (over the classes present for that speaker), means over seeds, and ``fold`` (null where
    several folds test the speaker). Empty where no speaker is known.
    """
    frame = labelled_rows(predictions).frame.filter(pl.col("speaker").is_not_null())
    by = ["unit", "speaker"]
    accuracy = _mean_over(frame, "accuracy", [*by, "seed"], by)
    recall = _mean_over(frame, "uar", [*by, "seed", "label"], [*by, "seed"], by)
    names, strata = units(frame)
    words = ["female", "male", "other", None]
    gender = pl.DataFrame(
        {"unit": names, "gender": [words[s] for s in strata]},
        schema={"unit": pl.String(), "gender": predictions.schema["gender"]},
    )
    # Several folds: which one cannot be said.
    fold = pl.when(pl.col("fold").n_unique() == 1).then(pl.col("fold").first()).alias("fold")
    rest = frame.group_by("unit", maintain_order=True).agg(
        pl.col("id").n_unique().cast(pl.Int64).alias("n"), fold
    )
    joined = accuracy.join(recall, on=by).join(gender, on="unit").join(rest, on="unit")
    return joined.select("speaker", "gender", "n", "accuracy", "uar", "fold").sort("speaker")


def variance_split(predictions: pl.DataFrame) -> dict[str, float | None]:
    """Split the variance of per-speaker accuracies into parts by speaker, seed, fold and what is left.

    The model within a fold f is y_sr = μ_f + speaker_s + seed_r + rest_sr (two-way random effects without
    replication; a seed trains another model in each fold, so its effect is the fold's own). Sums of
    squares are pooled over folds and equated to their expectations (method of moments; Searle, Casella
    and McCulloch 1992, chapter 4); ``fold`` is the variance of the fold means less what the other parts
    give to it. Negative parts become 0.

    Returns
    -------
    ``speaker``, ``seed``, ``residual``, ``fold``: variances of accuracies as fractions. A part that the
    data cannot tell is None: ``fold`` with one fold; with one seed, ``seed`` and ``residual`` (which
    ``speaker`` then holds); with one speaker a fold, ``speaker`` (which ``fold`` then holds) and
    ``residual`` (which ``seed`` then holds). Clips of unknown speakers are left out; a seed that some
    speaker of a fold lacks, too.
    """
    grids = _grids(labelled_rows(predictions))
    # Degrees of freedom and sums of squares, pooled over folds; a grid has the shape (speakers, seeds).
    shapes = np.array([g.shape for g in grids], dtype=np.float64).reshape(-1, 2)
    n, r = shapes[:, 0], shapes[:, 1]
    by_speaker = sum(g.shape[1] * _squares(g.mean(axis=1)) for g in grids)
    by_seed = sum(g.shape[0] * _squares(g.mean(axis=0)) for g in grids)
    left = sum(_squares(g - g.mean(axis=1, keepdims=True) - g.mean(axis=0) + g.mean()) for g in grids)
    df_speaker, df_seed, df_left = (n - 1).sum(), (r - 1).sum(), ((n - 1) * (r - 1)).sum()

    residual = left / df_left if df_left else 0.0
    # E[sum of squares by speaker] = Σ_f (n_f - 1)(residual + r_f speaker), and alike for seeds.
    speaker = _positive(by_speaker - residual * df_speaker, (r * (n - 1)).sum())
    seed = _positive(by_seed - residual * df_seed, (n * (r - 1)).sum())
    fold = None
    if len(grids) > 1:
        shares = (speaker or 0.0) / n + (seed or 0.0) / r + residual / (n * r)
        fold = max(0.0, float(np.var([g.mean() for g in grids], ddof=1) - shares.mean()))
    return {
        "speaker": speaker,
        "seed": seed,
        "residual": float(residual) if df_left else None,
        "fold": fold,
    }


def _grids(rows: Rows) -> list[Floats]:
    """Return accuracies of each fold, shape (speakers, seeds)."""
    frame = rows.frame.filter(pl.col("speaker").is_not_null())
    cells = frame.group_by("fold", "speaker", "seed", maintain_order=True).agg(pl.col("right").mean())
    grids = []
    for fold in cells["fold"].unique().sort():
        grid = cells.filter(pl.col("fold") == fold).sort("seed", "speaker")
        wide = grid.pivot(on="seed", index="speaker", values="right").drop("speaker").to_numpy()
        wide = wide[:, ~np.isnan(wide.astype(np.float64)).any(axis=0)]
        if wide.size:
            grids.append(wide.astype(np.float64))
    return grids


def _squares(values: Floats) -> float:
    return float(((values - values.mean()) ** 2).sum())


def _positive(sum_of_squares: float, times: float) -> float | None:
    return max(0.0, float(sum_of_squares / times)) if times else None


def _mean_over(frame: pl.DataFrame, name: str, *levels: list[str]) -> pl.DataFrame:
    """Average ``right`` level by level, each over what the next does not name."""
    for level in levels:
        frame = frame.group_by(level, maintain_order=True).agg(pl.col("right").mean())
    return frame.rename({"right": name})
