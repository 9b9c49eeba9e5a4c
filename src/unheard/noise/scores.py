"""From predictions under noise to ``noise.json``: scores of each condition and of the clean run, and the loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from unheard.audio.noise import NOISES
from unheard.comparison.compare import compare
from unheard.metrics import estimators
from unheard.noise.inference import CLEAN, Condition
from unheard.runs.folder import Run

METRICS = ("accuracy", "uar")


def scores(
    run: Run, table: pl.DataFrame, conditions: Sequence[Condition], measures: pl.DataFrame
) -> dict[str, Any]:
    """Return what ``noise.json`` says of the scores (fractions).

    Parameters
    ----------
    run
        The run, whose own test rows are the clean condition.
    table
        Predictions under the conditions.
    measures
        ``condition``, ``id``, ``snr`` (dB, realised), ``clipped`` (samples) of each clip.
    """
    test = run.predictions.filter(pl.col("part") == "test")
    listed = [{"condition": CLEAN.name, **_scored(test)}]
    for condition in conditions:
        rows = table.filter(pl.col("condition") == condition.name)
        measured = measures.filter(pl.col("condition") == condition.name)
        listed.append(
            {
                "condition": condition.name,
                "kind": condition.kind,
                "level": condition.level,
                "snr": condition.level if condition.kind in NOISES else None,
                **_scored(rows),
                "difference": _lost(rows, test),
                "realised_snr": {
                    "min": _rounded(measured["snr"].min()),
                    "max": _rounded(measured["snr"].max()),
                },
                "clipped": {
                    "clips": int((measured["clipped"] > 0).sum()),
                    "samples": int(measured["clipped"].sum()),
                },
            }
        )
    said = ("recipe", "refit", "corpus", "protocol", "protocol_hash", "settings_hash", "labels", "stamps")
    return {
        **{name: run.scores[name] for name in said},
        "seeds": sorted(test["seed"].unique()),
        "folds": sorted(test["fold"].unique()),
        "n_train_speakers": run.scores["n_train_speakers"],
        "n_speakers": test["speaker"].drop_nulls().n_unique(),
        "n_clips": test["id"].n_unique(),
        "chance": run.scores["baselines"]["chance"],
        **({"incomplete": run.scores["incomplete"]} if run.scores.get("incomplete") else {}),
        "conditions": listed,
    }


def _scored(rows: pl.DataFrame) -> dict[str, Any]:
    found = estimators.estimate(rows)
    unanswered = rows.filter(pl.col("logits").is_null())["id"].n_unique()
    return {
        **{name: found[name] for name in METRICS},
        "gender": estimators.per_gender(rows),
        "n_unanswered": unanswered,
    }


def _lost(rows: pl.DataFrame, clean: pl.DataFrame) -> dict[str, Any]:
    """Return the mean over speakers of noisy minus clean, clip by clip, with its interval (docs/metrics.md)."""
    pair = compare(rows, clean, names=(rows["condition"][0], CLEAN.name))
    uar = pair.secondary["uar"]
    return {
        "accuracy": {"value": pair.difference, "low": pair.low, "high": pair.high},
        "uar": {"value": uar["difference"], "low": uar["low"], "high": uar["high"]},
    }


def _rounded(value: Any) -> float | None:
    return None if value is None else round(float(value), 3)
