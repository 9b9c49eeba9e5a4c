"""The primary test of two systems on targets other than labels: shares of votes and dimensions."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import polars as pl

from unheard.comparison.exchange import by_speaker, common, differences
from unheard.comparison.outcome import Outcome, Resampling, over_units
from unheard.errors import DataError, first_five
from unheard.metrics.block import Block
from unheard.metrics.blocks import blocks
from unheard.metrics.dimensional import MEAN, Dimensions
from unheard.metrics.distributional import Distribution
from unheard.metrics.majority import Majority
from unheard.metrics.rows import Rows, marks, rows_with_truth

#: The metric that decides, by the block of the target.
PRIMARY = {Distribution.name: "kl", Dimensions.name: f"{MEAN}.ccc"}
#: Blocks beside labels whose metrics are compared without deciding.
BESIDE_LABELS = (Majority.name, *PRIMARY)


def compare_targets(a: pl.DataFrame, b: pl.DataFrame, answered_only: bool, how: Resampling) -> Outcome:
    """Compare two systems in KL where both have shares of votes, else in the mean CCC of the dimensions both have.

    KL: the mean over speakers of the difference on the speaker's clips, with sign flips and bootstrap over
    speakers. CCC, which is no mean over clips: the difference of the pooled mean CCC, with the clips of a speaker
    exchanged between the systems (:mod:`unheard.comparison.exchange`).

    Raises
    ------
    DataError
        No common clip, no common target, or a clip whose truth differs between the tables.
    """
    all_a, all_b = rows_with_truth(a), rows_with_truth(b)
    rows_a, rows_b = common(all_a, all_b)
    if not len(rows_a.frame):
        raise DataError("the two systems tested no clip in common: compare runs on one corpus")
    shared = shared_blocks(rows_a, rows_b)
    if not shared:
        raise DataError("the two systems have no target in common: labels, shares of votes or dimensions")
    n_common = rows_a.frame["id"].n_unique()
    if answered_only:
        silent = {*_unanswered(rows_a), *_unanswered(rows_b)}
        rows_a, rows_b = _without(rows_a, silent), _without(rows_b, silent)
        if not len(rows_a.frame):
            raise DataError("no clip got a prediction from both systems")
    _check_truth(rows_a, rows_b)
    known = rows_a.frame.filter(pl.col("speaker").is_not_null())["speaker"].n_unique()
    block = shared[0]
    metric = PRIMARY[block.name]
    exchange = exchanged(shared, rows_a, rows_b, how)
    if isinstance(block, Distribution):
        of_a, of_b = (by_speaker(block, rows.where(block.known(rows)), metric) for rows in (rows_a, rows_b))
        each = of_a.join(of_b, on="unit", suffix="_b")
        found = over_units(each["unit"].to_list(), (each["value"] - each["value_b"]).to_numpy(), how)
    else:
        found = {part: exchange[metric][part] for part in ("difference", "low", "high", "p")}
        found |= {"smallest": None, "speakers": {}}
    return Outcome(
        metric=metric,
        **found,
        n_speakers=known,
        n_clips=rows_a.frame["id"].n_unique(),
        only_a=all_a.frame["id"].n_unique() - n_common,
        only_b=all_b.frame["id"].n_unique() - n_common,
        unanswered_a=len(_unanswered(rows_a)),
        unanswered_b=len(_unanswered(rows_b)),
        dropped=n_common - rows_a.frame["id"].n_unique(),
        secondary={"exchange": exchange},
        marks=marks(rows_a.frame["speaker"]),
    )


def shared_blocks(a: Rows, b: Rows, names: Collection[str] = PRIMARY) -> list[Block]:
    """Return the blocks of some names that both systems have; by default shares, then dimensions."""
    return [block for block in blocks(a) if block.name in names and block in blocks(b)]


def exchanged(shared: list[Block], a: Rows, b: Rows, how: Resampling) -> dict[str, dict[str, Any]]:
    """Compare two systems in the metrics of some blocks by exchange within speakers, on the same clips.

    Returns
    -------
    For each metric by its name: ``label``, ``percent`` (how it is written), ``difference``, ``low``, ``high`` and
    ``p``.
    """
    found: dict[str, dict[str, Any]] = {}
    for block in shared:
        of_a, of_b = (rows.where(block.known(rows)) for rows in (a, b))
        each = differences(block, of_a, of_b, how.draws, how.seed)
        for metric in block.metrics:
            said = {"label": metric.label, "percent": metric.percent}
            found[metric.name] = {**said, **vars(each[metric.name])}
    return found


def _unanswered(rows: Rows) -> list[str]:
    return rows.frame.filter(pl.Series(~rows.answered))["id"].unique().to_list()


def _without(rows: Rows, ids: set[str]) -> Rows:
    return rows.where(~rows.frame["id"].is_in(list(ids)).to_numpy())


def _check_truth(a: Rows, b: Rows) -> None:
    """Refuse clips whose speaker, shares or dimensions differ between the systems."""
    columns = ["speaker", "target", *(f"{name}_true" for name in a.dimensions if name in b.dimensions)]
    first_a, first_b = (rows.frame.unique("id", keep="first").sort("id") for rows in (a, b))
    for column in columns:
        mine, theirs = first_a[column], first_b[column]
        if column == "target":
            pairs = zip(mine.to_list(), theirs.to_list(), strict=True)
            equal = [x is None or y is None or np.allclose(x, y, atol=1e-9) for x, y in pairs]
            differ = first_a.filter(~pl.Series(equal))["id"]
        else:
            differ = first_a.filter((mine != theirs).fill_null(False))["id"]
        if len(differ):
            raise DataError(f"the {column} of a clip differs between the two tables: {first_five(differ)}")
