"""One fold and seed of a fusion: what is fitted, on which rows, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unheard.decide.calibration import apply_temperature
from unheard.decide.late_fusion import equal_weights, fit_fusion, weighted_mean
from unheard.errors import DataError, UsageError
from unheard.fusion.aligned_runs import Floats, Members


@dataclass(frozen=True)
class Fused:
    """What was made of the rows ``here`` of :class:`unheard.fusion.aligned_runs.Members`.

    Parameters
    ----------
    fold, seed
        Which.
    here
        Their rows, shape (n,) over all rows.
    weights
        One a member.
    temperatures
        One a member; None where nothing was fitted and the members answer as they stand.
    members
        Probabilities of each member as they were fused, (m, C) for the m rows of ``here``.
    probabilities
        Of the fusion, (m, C).
    """

    fold: int
    seed: int
    here: NDArray[np.bool_]
    weights: tuple[float, ...]
    temperatures: tuple[float, ...] | None
    members: tuple[Floats, ...]
    probabilities: Floats


def fuse_fold(members: Members, fold: int, seed: int, weights: str) -> Fused:
    """Fuse what the members answered in one fold and seed; labels of its test rows are never looked at."""
    here = members.rows.select((pl.col("fold") == fold) & (pl.col("seed") == seed)).to_series().to_numpy()
    if weights == "equal":
        own = tuple(p[here] for p in members.probabilities)
        shares = equal_weights(len(own))
        return Fused(fold, seed, here, shares, None, own, weighted_mean(own, shares))
    seen = _fitting_rows(members, fold, seed, weights)
    try:
        fitted = fit_fusion([z[seen] for z in members.logits], members.labels[seen])
    except DataError as error:
        raise DataError(f"fold {fold}, seed {seed}: {error}") from error
    own = tuple(
        apply_temperature(z[here], t) for z, t in zip(members.logits, fitted.temperatures, strict=True)
    )
    mean = weighted_mean(own, fitted.weights)
    return Fused(fold, seed, here, fitted.weights, fitted.temperatures, own, mean)


def _fitting_rows(members: Members, fold: int, seed: int, weights: str) -> NDArray[np.bool_]:
    """Validation rows of the fold; or the test rows of other folds, but for speakers that this fold tests."""
    if weights == "fitted":
        return members.where(fold=fold, seed=seed, part="val")
    tested = members.rows.filter((pl.col("fold") == fold) & (pl.col("part") == "test"))
    other = (pl.col("fold") != fold) & ~pl.col("id").is_in(tested["id"].unique().to_list())
    other &= ~pl.col("speaker").is_in(tested["speaker"].drop_nulls().unique().to_list()).fill_null(
        value=False
    )
    found: NDArray[np.bool_] = (
        members.where(seed=seed, part="test") & members.rows.select(other).to_series().to_numpy()
    )
    if not found.any():
        raise UsageError("cross-fitted weights need test rows of another fold, and there are none")
    return found
