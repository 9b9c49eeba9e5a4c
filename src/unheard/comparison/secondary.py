"""Secondary tests of a comparison: printed after the primary one, and never decisive."""

from __future__ import annotations

import numpy as np
import polars as pl

from unheard.comparison.paired import bootstrap, corrected_t, mcnemar, sign_flip
from unheard.comparison.pairs import Pairs
from unheard.metrics.intervals import DRAWS


def uar_difference(pairs: Pairs, draws: int = DRAWS, seed: int = 0) -> dict[str, float | None]:
    """Return the primary test on the UAR of each unit, over the classes present for that speaker.

    Returns
    -------
    ``difference``, ``low``, ``high`` (None below four units), ``p``.
    """
    each = pairs.clips.with_columns((pl.col("a") - pl.col("b")).alias("d"))
    recalls = each.group_by("unit", "label", maintain_order=True).agg(pl.col("d").mean())
    d = recalls.group_by("unit", maintain_order=True).agg(pl.col("d").mean()).sort("unit")["d"].to_numpy()
    low, high = bootstrap(d, draws, seed) or (None, None)
    return {"difference": float(d.mean()), "low": low, "high": high, "p": sign_flip(d, seed)}


def over_folds(pairs: Pairs, a: pl.DataFrame, b: pl.DataFrame) -> dict[str, float | int | None] | None:
    """Return the corrected resampled t test over the folds of one protocol, seeds averaged; None with one fold.

    Returns
    -------
    ``difference``, ``folds``, ``t`` (None where folds do not differ among each other), ``p``.
    """
    each = (
        pairs.by_fold.group_by("fold", maintain_order=True)
        .agg((pl.col("a") - pl.col("b")).mean().alias("d"))
        .sort("fold")
    )
    if len(each) < 2:
        return None
    d = each["d"].to_numpy()
    t, p = corrected_t(d, max(_test_to_train(a), _test_to_train(b)))
    return {"difference": float(d.mean()), "folds": len(d), "t": t if np.isfinite(t) else None, "p": p}


def over_clips(pairs: Pairs) -> dict[str, float | int]:
    """Return McNemar's test over clips; with several seeds a clip goes to the system that was right more often.

    Returns
    -------
    ``only_a``, ``only_b``, ``p``. Clips of a speaker are not independent, so this p is too small.
    """
    only_a = pairs.clips.filter(pl.col("a") > pl.col("b")).height
    only_b = pairs.clips.filter(pl.col("a") < pl.col("b")).height
    return {"only_a": only_a, "only_b": only_b, "p": mcnemar(only_a, only_b)}


def _test_to_train(table: pl.DataFrame) -> float:
    """Return n_test / n_train of a fold on average: what a fold neither tests nor validates on, it trains on.

    Without validation rows this is 1/(J - 1) for J folds. A model refitted on validation speakers has more
    training clips than this, so its test is on the safe side.
    """
    clips = table.filter(pl.col("part") == "test")["id"].n_unique()
    sizes = table.group_by("part", "fold", maintain_order=True).agg(pl.col("id").n_unique().alias("n"))
    test = float(sizes.filter(pl.col("part") == "test")["n"].to_numpy().mean())
    val = float(sizes.filter(pl.col("part") == "val")["n"].to_numpy().sum()) / max(
        1, table["fold"].n_unique()
    )
    return test / max(clips - test - val, 1.0)
