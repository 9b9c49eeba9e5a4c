"""The numbers of a results file: each score with its spread over folds and its interval over speakers.

The unit that varies is the speaker, not the clip. Scores are fractions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unheard.metrics.intervals import DRAWS, FEWEST, draws_of_units, percentile
from unheard.metrics.rows import scored_rows, units
from unheard.metrics.sums import SCORES, clip_sums, grouped, scores

Floats = NDArray[np.float64]


def estimate(
    predictions: pl.DataFrame, draws: int = DRAWS, seed: int = 0
) -> dict[str, dict[str, float | None]]:
    """Estimate every score of one system's test rows.

    Parameters
    ----------
    predictions
        Prediction table of one system, condition and enrolment. Clips without answer are errors.
    draws
        Bootstrap draws of speakers.
    seed
        Of those draws.

    Returns
    -------
    For each of ``accuracy``, ``uar``, ``macro_f1``, ``weighted_f1``, ``ece``, ``nll``, ``brier``:

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
    rows = scored_rows(predictions)
    values, c = clip_sums(rows), len(rows.classes)
    by_fold = scores(_crossed(values, rows.frame["fold"], rows.frame["seed"]), c)
    names, strata = units(rows.frame)
    by_unit = _crossed(values, rows.frame["unit"], rows.frame["seed"])
    pooled = scores(by_unit.sum(axis=0), c)
    drawn = _draw(by_unit, strata, c, draws, seed) if len(names) >= FEWEST else None
    result: dict[str, dict[str, float | None]] = {}
    for name in SCORES:
        each = _over_seeds(by_fold[name])
        low, high = (None, None) if drawn is None else percentile(drawn[name])
        result[name] = {
            "mean": float(each.mean()),
            "sd": float(each.std(ddof=1)) if len(each) > 1 else None,
            "pooled": float(_over_seeds(pooled[name])),
            "low": low,
            "high": high,
        }
    return result


def folds(predictions: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the scores of each fold, mean over seeds: ``fold``, ``n_test`` (clips) and one key a score."""
    rows = scored_rows(predictions)
    by_fold = scores(_crossed(clip_sums(rows), rows.frame["fold"], rows.frame["seed"]), len(rows.classes))
    clips = rows.frame.group_by("fold").agg(pl.col("id").n_unique()).sort("fold")
    means = {name: _over_seeds(by_fold[name]) for name in SCORES}
    return [
        {"fold": fold, "n_test": n, **{name: float(means[name][i]) for name in SCORES}}
        for i, (fold, n) in enumerate(clips.iter_rows())
    ]


def per_gender(predictions: pl.DataFrame, draws: int = DRAWS, seed: int = 0) -> dict[str, Any]:
    """Accuracy and UAR of women, men and others, and the difference women - men, with intervals.

    Returns
    -------
    ``{"female": {"n_speakers", "n_clips", "accuracy": {"pooled", "low", "high"}, "uar": …}, "male": …,
    "difference": {"accuracy": …, "uar": …}}``. Genders that the table lacks are absent; ``difference`` is
    there where both women and men are. Clips of unknown gender count in none. Intervals as in
    :func:`estimate`; None where a group has fewer than four speakers.
    """
    rows = scored_rows(predictions)
    values, c = clip_sums(rows), len(rows.classes)
    names, strata = units(rows.frame)
    by_unit = _crossed(values, rows.frame["unit"], rows.frame["seed"])
    clips = rows.frame.group_by("unit").agg(pl.col("id").n_unique()).sort("unit")["id"].to_numpy()
    result: dict[str, Any] = {}
    kept: dict[str, tuple[dict[str, float], dict[str, Floats] | None]] = {}
    for number, gender in enumerate(("female", "male", "other")):
        here = strata == number
        if not here.any():
            continue
        pooled = {n: float(_over_seeds(v)) for n, v in scores(by_unit[here].sum(axis=0), c).items()}
        # One stream of chance for each gender: the groups are independent in the difference.
        enough = here.sum() >= FEWEST
        drawn = _draw(by_unit[here], strata[here], c, draws, [seed, number]) if enough else None
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


def _crossed(values: Floats, rows: pl.Series, columns: pl.Series) -> Floats:
    """Sum clips by the sorted values of two columns, shape (rows, columns, width)."""
    names, row = np.unique(rows.to_numpy(), return_inverse=True)
    seeds, column = np.unique(columns.to_numpy(), return_inverse=True)
    sums = grouped(values, row * len(seeds) + column, len(names) * len(seeds))
    return sums.reshape(len(names), len(seeds), -1)


def _over_seeds(values: Floats) -> Floats:
    """Mean over the last axis of the seeds that have clips there (a broken run may lack some)."""
    there = ~np.isnan(values)
    total = np.where(there, values, 0.0).sum(axis=-1)
    seeds = there.sum(axis=-1).astype(np.float64)
    means: Floats = np.divide(total, seeds, out=np.full(seeds.shape, np.nan), where=seeds > 0)
    return means


def _draw(
    by_unit: Floats, strata: NDArray[np.int64], classes: int, draws: int, seed: int | list[int]
) -> dict[str, Floats]:
    """Scores of every bootstrap draw, each of shape (draws,), seeds averaged inside a draw."""
    units_, seeds, width = by_unit.shape
    flat = by_unit.reshape(units_, seeds * width)
    drawn: dict[str, list[Floats]] = {name: [] for name in SCORES}
    for weights in draws_of_units(strata, draws, np.random.default_rng(seed), seeds * width):
        each = scores((weights @ flat).reshape(-1, seeds, width), classes)
        for name in SCORES:
            drawn[name].append(_over_seeds(each[name]))
    return {name: np.concatenate(parts) for name, parts in drawn.items()}
