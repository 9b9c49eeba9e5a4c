"""Scores by how many clips of a speaker were known, each against nothing known, on the same clips."""

from __future__ import annotations

from typing import Any

import polars as pl

from unheard.comparison.paired import bootstrap, sign_flip
from unheard.metrics import estimators

METRICS = ("accuracy", "uar")
#: A draw counts as a seed of its own while it is scored: seeds are averaged.
_SEED = 1000
#: Whether the likeliest class is the label.
_RIGHT = pl.col("probabilities").list.arg_max().fill_null(-1) == pl.col("label").to_physical().cast(pl.Int64)


def enrolment_scores(table: pl.DataFrame) -> list[dict[str, Any]]:
    """Return one mapping for each kind and number of known clips (scores are fractions).

    ``before`` is the accuracy over the same clips with nothing known, pooled. ``difference`` is the mean over
    speakers of the accuracy less that with nothing known, over the same clips, with the interval over speakers and
    the p of sign flips; draws and seeds are averaged first.

    Parameters
    ----------
    table
        Test rows of all folds: those that know clips, and those that know none (kind ``none``), against which
        kind ``all`` is held.
    """
    test = table.filter(pl.col("part") == "test")
    found = []
    for (kind, count), rows in sorted(test.group_by(["enrol_kind", "enrol_k"]), key=_order):
        before = (
            test.filter(pl.col("enrol_kind") == "none")
            if kind == "all"
            else test.filter((pl.col("enrol_kind") == kind) & (pl.col("enrol_k") == 0))
        )
        if kind == "none":
            continue
        scored = estimators.estimate(
            rows.with_columns(
                seed=pl.col("seed") * _SEED + pl.col("draw"),
                enrol_kind=pl.lit("none", rows["enrol_kind"].dtype),
                enrol_k=pl.lit(0, pl.Int64),
                draw=pl.lit(0, pl.Int64),
            )
        )
        found.append(
            {
                "kind": kind,
                "clips": None if kind == "all" else count,
                "n_speakers": rows["speaker"].n_unique(),
                "n_clips": rows["id"].n_unique(),
                **{name: scored[name] for name in METRICS},
                **({} if kind != "all" and count == 0 else _gain(rows, before)),
            }
        )
    return found


def _gain(rows: pl.DataFrame, before: pl.DataFrame) -> dict[str, Any]:
    """Return the accuracy over the same clips with nothing known, and the paired difference."""
    before = before.join(rows.select("fold", "seed", "id").unique(), on=["fold", "seed", "id"], how="semi")
    by_speaker = [_accuracy(each) for each in (rows, before)]
    joined = by_speaker[0].join(by_speaker[1], on="speaker", suffix="_before").sort("speaker")
    apart = (joined["accuracy"] - joined["accuracy_before"]).to_numpy()
    interval = bootstrap(apart)
    return {
        "before": float(before.filter(pl.col("label").is_not_null()).select(_RIGHT.mean()).item()),
        "difference": {
            "value": float(apart.mean()),
            "low": None if interval is None else interval[0],
            "high": None if interval is None else interval[1],
            "p": sign_flip(apart),
        },
    }


def _accuracy(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the accuracy of each speaker over all clips, draws and seeds; no prediction is an error."""
    return rows.filter(pl.col("label").is_not_null()).group_by("speaker").agg(accuracy=_RIGHT.mean())


def _order(group: tuple[tuple[Any, ...], pl.DataFrame]) -> tuple[int, int]:
    kind, count = group[0]
    return ["none", "clips", "neutral", "all", "recording"].index(str(kind)), int(count)
