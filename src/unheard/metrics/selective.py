"""What it buys to answer only where one is sure: the area under the risk-coverage curve, with its interval.

Confidence is the largest probability, the *risk* at a coverage the share of errors among the surest clips
(:mod:`unheard.decide.abstain` has the curve and chooses thresholds). The area depends on the order of all clips
and is no function of sums, so each draw of speakers is scored for itself.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unheard.metrics.intervals import FEWEST, draws_of_units, percentile
from unheard.metrics.rows import labelled_rows, units

Floats = NDArray[np.float64]

#: Draws of speakers: each is a pass over all clips.
DRAWS = 1_000


def selective(predictions: pl.DataFrame, draws: int = DRAWS, seed: int = 0) -> dict[str, float | None]:
    """Return ``pooled``, the area under the risk-coverage curve over all labelled test clips, mean over seeds.

    ``low``, ``high``: its 95 % interval over draws of speakers within gender, seeds averaged inside a draw; None
    with fewer than four speakers.
    """
    rows = labelled_rows(predictions)
    names, strata = units(rows.frame)
    unit = np.searchsorted(names, rows.frame["unit"].to_numpy().astype(str))
    silent = np.asarray(np.isnan(rows.probabilities).any(axis=1))
    sure = np.where(silent, -1.0, np.where(silent[:, None], 0.0, rows.probabilities).max(axis=1))
    wrong = (rows.label != rows.predicted).astype(np.float64)
    seeds = rows.frame["seed"].to_numpy()
    each = [seeds == one for one in np.unique(seeds)]
    pooled = np.mean([aurc(sure[s], wrong[s], np.ones((1, s.sum())))[0] for s in each])
    low, high = None, None
    if len(names) >= FEWEST:
        parts = [
            np.mean([aurc(sure[s], wrong[s], weights[:, unit[s]]) for s in each], axis=0)
            for weights in draws_of_units(strata, draws, np.random.default_rng(seed), len(unit))
        ]
        low, high = percentile(np.concatenate(parts))
    return {"pooled": float(pooled), "low": low, "high": high}


def aurc(sure: Floats, wrong: Floats, weights: Floats) -> Floats:
    """Return the area under the risk-coverage curve (Geifman et al. 2019) of clips that stand several times.

    The area is the mean risk over the coverages 1/N, …, N/N of N clips; clips of equal confidence share their
    errors evenly.

    Parameters
    ----------
    sure, wrong
        Confidence of each clip, and 1 where it is an error, shape (n,).
    weights
        How often each clip stands in each draw, whole numbers, shape (draws, n).

    Returns
    -------
    Shape (draws,); NaN for a draw without clips.
    """
    order = np.argsort(-sure, kind="stable")
    starts = (
        np.flatnonzero(np.append(True, np.diff(sure[order]) != 0)) if len(sure) else np.zeros(0, np.int64)
    )
    if not len(starts):
        return np.full(len(weights), np.nan)
    ordered = weights[:, order]
    clips = np.add.reduceat(ordered, starts, axis=1)
    errors = np.add.reduceat(ordered * wrong[order], starts, axis=1)
    before, errors_before = np.cumsum(clips, axis=1) - clips, np.cumsum(errors, axis=1) - errors
    # Over the j-th of w clips of one confidence, after A clips with E errors and with e of its own, the risk is
    # (E + e j / w) / (A + j); its sum over j has a closed form with harmonic numbers.
    rate = errors / np.where(clips > 0, clips, 1.0)
    total = before[:, -1] + clips[:, -1]
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, int(total.max()) + 1))])
    spread = harmonic[(before + clips).astype(np.int64)] - harmonic[before.astype(np.int64)]
    area = (errors + (errors_before - rate * before) * spread).sum(axis=1)
    result: Floats = area / np.where(total > 0, total, np.nan)
    return result
