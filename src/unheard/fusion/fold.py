"""One fold and seed of a fusion: what is fitted, on which rows, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unheard.decide.calibration import apply_temperature
from unheard.decide.fusion_methods import fit_method
from unheard.decide.late_fusion import equal_weights, weighted_mean
from unheard.errors import DataError, UsageError
from unheard.fusion.aligned_runs import AlignedRuns, Floats


@dataclass(frozen=True)
class Fused:
    """What was made of the rows ``here`` of :class:`unheard.fusion.aligned_runs.AlignedRuns`.

    Parameters
    ----------
    fold, seed
        Number of the fold, and the seed.
    here
        Mask of their rows, shape (n,) over all rows.
    weights
        The weight of each run.
    temperatures
        The temperature of each run; None where nothing was fitted and probabilities are taken as they stand.
    method
        What else was fitted, by a method other than the mean, in plain values by name.
    calibrated
        Probabilities of each run as they were fused, (m, C) for the m rows of ``here``.
    probabilities
        Probabilities of the fusion, (m, C).
    """

    fold: int
    seed: int
    here: NDArray[np.bool_]
    weights: tuple[float, ...]
    temperatures: tuple[float, ...] | None
    method: dict[str, Any]
    calibrated: tuple[Floats, ...]
    probabilities: Floats


def fuse_fold(aligned: AlignedRuns, fold: int, seed: int, weights: str, method: str = "mean") -> Fused:
    """Fuse what the runs predicted in one fold and seed; labels of its test rows are never read."""
    here = aligned.rows.select((pl.col("fold") == fold) & (pl.col("seed") == seed)).to_series().to_numpy()
    if weights == "equal":
        own = tuple(p[here] for p in aligned.probabilities)
        shares = equal_weights(len(own))
        return Fused(fold, seed, here, shares, None, {}, own, weighted_mean(own, shares))
    seen = _fitting_rows(aligned, fold, seed, weights)
    try:
        speakers = aligned.rows["speaker"].fill_null("").filter(pl.Series(seen)).to_list()
        fitted = fit_method(method, [z[seen] for z in aligned.logits], aligned.labels[seen], speakers)
    except DataError as error:
        raise DataError(f"fold {fold}, seed {seed}: {error}") from error
    base = fitted.base
    own = tuple(apply_temperature(z[here], t) for z, t in zip(aligned.logits, base.temperatures, strict=True))
    found = fitted.probabilities([z[here] for z in aligned.logits])
    return Fused(fold, seed, here, base.weights, base.temperatures, fitted.chosen, own, found)


def _fitting_rows(aligned: AlignedRuns, fold: int, seed: int, weights: str) -> NDArray[np.bool_]:
    """Return the validation rows of the fold, or those tested in other folds without its test speakers."""
    if weights == "fitted":
        return aligned.where(fold=fold, seed=seed, part="val")
    tested = aligned.rows.filter((pl.col("fold") == fold) & (pl.col("part") == "test"))
    other = (pl.col("fold") != fold) & ~pl.col("id").is_in(tested["id"].unique().to_list())
    other &= ~pl.col("speaker").is_in(tested["speaker"].drop_nulls().unique().to_list()).fill_null(
        value=False
    )
    found: NDArray[np.bool_] = (
        aligned.where(seed=seed, part="test") & aligned.rows.select(other).to_series().to_numpy()
    )
    if not found.any():
        raise UsageError("cross-fitted weights need test rows of another fold, and there are none")
    return found
