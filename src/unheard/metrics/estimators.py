"""The numbers of a results file: each metric with its spread over folds and its interval over speakers.

The unit that varies is the speaker, not the clip. Scores are fractions, or on the scale of their metric.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unheard.metrics.block import Block
from unheard.metrics.blocks import blocks
from unheard.metrics.classes import Classes
from unheard.metrics.intervals import DRAWS, FEWEST, draws_of_units, percentile
from unheard.metrics.rows import Rows, labelled_rows, rows_with_truth, units
from unheard.metrics.sums import crossed, over_seeds

Floats = NDArray[np.float64]
Estimates = dict[str, dict[str, float | None]]


def estimate(predictions: pl.DataFrame, draws: int = DRAWS, seed: int = 0) -> Estimates:
    """Estimate the metrics of classes of one system's labelled test rows.

    Parameters
    ----------
    predictions
        Prediction table of one system, condition and enrolment. Clips without a prediction are errors.
    draws
        Bootstrap draws of speakers.
    seed
        Seed of those draws.

    Returns
    -------
    For each of ``accuracy``, ``uar``, ``macro_f1``, ``weighted_f1``, ``ece``, ``nll``, ``brier``: what
    :func:`estimate_block` returns.
    """
    rows = labelled_rows(predictions)
    return estimate_block(Classes(len(rows.classes)), rows, draws, seed)


def estimates(predictions: pl.DataFrame, draws: int = DRAWS, seed: int = 0) -> list[tuple[Block, Estimates]]:
    """Estimate every block of metrics that the truth of the table allows."""
    rows = rows_with_truth(predictions)
    return [(block, estimate_block(block, rows, draws, seed)) for block in blocks(rows)]


def estimate_block(block: Block, rows: Rows, draws: int = DRAWS, seed: int = 0) -> Estimates:
    """Estimate the metrics of a block over the rows whose truth it knows.

    Returns
    -------
    For each metric:

    ``mean``
        Mean over folds of the mean over seeds of the fold's score.
    ``sd``
        Standard deviation (ddof 1) over folds of the same; None with one fold.
    ``pooled``
        The score over all test clips of a seed, mean over seeds.
    ``low``, ``high``
        95 % percentile interval of ``pooled`` over draws of speakers with replacement, within gender where
        known, seeds averaged inside a draw; None with fewer than four speakers. What it must be marked with
        is said by :func:`unheard.metrics.rows.marks`.
    """
    rows = rows.where(block.known(rows))
    values = block.columns(rows)
    by_fold = block.scores(crossed(values, rows.frame["fold"], rows.frame["seed"]))
    names, strata = units(rows.frame)
    by_unit = crossed(values, rows.frame["unit"], rows.frame["seed"])
    pooled = block.scores(by_unit.sum(axis=0))
    drawn = _draw(block, by_unit, strata, draws, seed) if len(names) >= FEWEST else None
    result: Estimates = {}
    for metric in block.metrics:
        each = over_seeds(by_fold[metric.name])
        each = each[~np.isnan(each)]
        low, high = (None, None) if drawn is None else percentile(drawn[metric.name])
        result[metric.name] = {
            "mean": float(each.mean()) if len(each) else None,
            "sd": float(each.std(ddof=1)) if len(each) > 1 else None,
            "pooled": _number(over_seeds(pooled[metric.name])),
            "low": low,
            "high": high,
        }
    return result


def folds(predictions: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the scores of each fold, mean over seeds.

    Each fold has ``fold``, ``n_test`` (clips), one key for each metric of classes, and one mapping for each other
    block, by its name. A score that the clips of a fold do not allow is None.
    """
    rows = rows_with_truth(predictions)
    clips = rows.frame.group_by("fold").agg(pl.col("id").n_unique()).sort("fold")
    listed: list[dict[str, Any]] = [{"fold": fold, "n_test": n} for fold, n in clips.iter_rows()]
    for block in blocks(rows):
        by_fold = block.scores(crossed(block.columns(rows), rows.frame["fold"], rows.frame["seed"]))
        for i, fold in enumerate(listed):
            each = {metric.name: _number(over_seeds(by_fold[metric.name])[i]) for metric in block.metrics}
            fold.update(each if isinstance(block, Classes) else {block.name: each})
    return listed


def per_gender(predictions: pl.DataFrame, draws: int = DRAWS, seed: int = 0) -> dict[str, Any]:
    """Return accuracy and UAR of women, men and others, and the difference women - men, with intervals.

    Returns
    -------
    ``{"female": {"n_speakers", "n_clips", "accuracy": {"pooled", "low", "high"}, "uar": …}, "male": …,
    "difference": {"accuracy": …, "uar": …}}``. Genders that the table lacks are absent; ``difference`` is
    there where both women and men are. Clips of unknown gender count in none. Intervals as in
    :func:`estimate`; None where a group has fewer than four speakers.
    """
    rows = labelled_rows(predictions)
    block = Classes(len(rows.classes))
    names, strata = units(rows.frame)
    by_unit = crossed(block.columns(rows), rows.frame["unit"], rows.frame["seed"])
    clips = rows.frame.group_by("unit").agg(pl.col("id").n_unique()).sort("unit")["id"].to_numpy()
    result: dict[str, Any] = {}
    kept: dict[str, tuple[dict[str, float], dict[str, Floats] | None]] = {}
    for number, gender in enumerate(("female", "male", "other")):
        here = strata == number
        if not here.any():
            continue
        pooled = {n: float(over_seeds(v)) for n, v in block.scores(by_unit[here].sum(axis=0)).items()}
        # One stream of chance for each gender: the groups are independent in the difference.
        enough = here.sum() >= FEWEST
        drawn = _draw(block, by_unit[here], strata[here], draws, [seed, number]) if enough else None
        kept[gender] = (pooled, drawn)
        result[gender] = {
            "n_speakers": int(sum(names[u].startswith("speaker ") for u in np.flatnonzero(here))),
            "n_clips": int(clips[here].sum()),
            **{name: _interval(pooled[name], drawn[name] if drawn else None) for name in ("accuracy", "uar")},
        }
    if "female" in kept and "male" in kept:
        (women, women_drawn), (men, men_drawn) = kept["female"], kept["male"]
        both = women_drawn is not None and men_drawn is not None
        result["difference"] = {
            name: _interval(
                women[name] - men[name],
                women_drawn[name] - men_drawn[name] if both else None,  # type: ignore[index]
            )
            for name in ("accuracy", "uar")
        }
    return result


def _interval(pooled: float, drawn: Floats | None) -> dict[str, float | None]:
    low, high = (None, None) if drawn is None else percentile(drawn)
    return {"pooled": pooled, "low": low, "high": high}


def _number(value: Floats) -> float | None:
    return None if np.isnan(value) else float(value)


def _draw(
    block: Block, by_unit: Floats, strata: NDArray[np.int64], draws: int, seed: int | list[int]
) -> dict[str, Floats]:
    """Return the scores of every bootstrap draw, each of shape (draws,), seeds averaged inside a draw."""
    units_, seeds, width = by_unit.shape
    flat = by_unit.reshape(units_, seeds * width)
    drawn: dict[str, list[Floats]] = {metric.name: [] for metric in block.metrics}
    for weights in draws_of_units(strata, draws, np.random.default_rng(seed), seeds * width):
        each = block.scores((weights @ flat).reshape(-1, seeds, width))
        for name, parts in drawn.items():
            parts.append(over_seeds(each[name]))
    return {name: np.concatenate(parts) for name, parts in drawn.items()}
