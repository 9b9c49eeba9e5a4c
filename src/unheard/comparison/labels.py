"""The primary test of two systems on labels, and the secondary ones."""

from __future__ import annotations

import polars as pl

from unheard.comparison.exchange import common
from unheard.comparison.outcome import Outcome, Resampling, over_units
from unheard.comparison.pairs import pair
from unheard.comparison.secondary import over_clips, over_folds, uar_difference
from unheard.comparison.targets import BESIDE_LABELS, exchanged, shared_blocks
from unheard.metrics.rows import marks, rows_with_truth


def compare_labels(
    a: pl.DataFrame, b: pl.DataFrame, answered_only: bool, how: Resampling, *, same_folds: bool
) -> Outcome:
    """Compare two systems in the mean over speakers of the accuracy on their clips.

    Parameters
    ----------
    a, b, answered_only
        As in :func:`unheard.comparison.compare.compare`.
    how
        How differences are tested.
    same_folds
        Both are of one protocol, so that folds can be compared one by one.
    """
    both = pair(a, b, answered_only)
    each = (
        both.clips.with_columns((pl.col("a") - pl.col("b")).alias("d"))
        .group_by("unit", maintain_order=True)
        .agg(pl.col("d").mean(), pl.col("speaker").first())
        .sort("unit")
    )
    rows_a, rows_b = common(rows_with_truth(a), rows_with_truth(b))
    shared = shared_blocks(rows_a, rows_b, BESIDE_LABELS)
    return Outcome(
        metric="accuracy",
        **over_units(each["unit"].to_list(), each["d"].to_numpy(), how),
        n_speakers=len(each) - each["speaker"].null_count(),
        n_clips=len(both.clips),
        only_a=both.only_a,
        only_b=both.only_b,
        unanswered_a=both.unanswered_a,
        unanswered_b=both.unanswered_b,
        dropped=both.dropped,
        secondary={
            "uar": uar_difference(both, how.draws, how.seed),
            "corrected_t": over_folds(both, a, b) if same_folds else None,
            "mcnemar": over_clips(both),
            **({"exchange": exchanged(shared, rows_a, rows_b, how)} if shared else {}),
        },
        marks=marks(each["speaker"]),
    )
