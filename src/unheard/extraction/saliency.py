"""Saliency: how much of the targets a layer's dimensions carry (arXiv 2503.22711, equations 1-3; docs/layers.md).

For the utterance means H (U, N) of one layer and targets L (U, D):

    r[j, d] = |corr(H_j, L_d)|        R[i, j] = |corr(H_i, H_j)|
    γ[i, d] = 1/(N - 1) Σ_{j≠i} r[j, d] R[i, j]        S = r + γ        score = mean of S over i and d

The mean over i turns the sum into Σ_j r[j, d] c[j] with c[j] = Σ_{i≠j} R[i, j], so that only c is quadratic in
N. A dimension or target that is constant counts 0. Bands come from bootstrap draws of speakers: second moments are
summed once for each speaker, and a draw is a weighted sum of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard.errors import DataError, first_five
from unheard.metrics.intervals import FEWEST, draws_of_units, percentile

Floats = NDArray[np.float64]

#: Utterances beyond these are left to chance: as many are drawn.
MAX_ROWS = 30_000
DRAWS = 200
#: Numbers held at once while moments are summed and drawn (128 MB of float64).
_ROOM = 16_000_000
#: A variance below this part of the mean square is rounding.
_ROUNDING = 1e-10


@dataclass(frozen=True)
class Band:
    """A value of the whole sample, with a 95 % interval over draws of speakers (None: no draws).

    Drawing speakers again raises absolute correlations, most where there are none, so the percentiles of the draws
    can lie above the value: they are shifted by the mean of the draws less the value (our choice).
    """

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Saliency:
    """Saliency of one layer.

    Parameters
    ----------
    score
        Equation 3: mean of S over dims and targets, 0 … 2.
    correlation
        The same without γ: mean of r over dims and targets, 0 … 1. γ rewards dims that repeat each other.
    targets
        The score of each target, shape (D,).
    draws
        The score in each bootstrap draw, shape (draws,); the same draws for every layer of the same rows and seed.
        Empty where there are no bands.
    """

    score: Band
    correlation: Band
    targets: Floats
    draws: Floats


def saliency(
    means: NDArray[Any],
    targets: NDArray[Any],
    speakers: Sequence[str] | NDArray[np.str_] | None = None,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Saliency:
    """Return the saliency of one layer.

    Parameters
    ----------
    means
        Means over the frames of each utterance, shape (U, N).
    targets
        Shape (U, D): dimensions such as valence, one column a class (:func:`one_vs_rest`), or shares of votes.
    speakers
        Speaker of each utterance, shape (U,); None, or fewer than four different ones: no bands.
    draws
        Bootstrap draws of speakers; 0: no bands.
    seed
        Seed of the draws, and of the sample where there are more than 30,000 utterances.

    Raises
    ------
    DataError
        Arrays that do not fit together, or values that are NaN or infinite.
    """
    rows = sample(len(means), seed)
    H, L = _checked(np.asarray(means)[rows], "means"), _checked(np.asarray(targets)[rows], "targets")
    if len(H) != len(L) or len(targets) != len(means):
        raise DataError(f"saliency: {len(means)} rows of means and {len(targets)} of targets")
    who = np.zeros(len(H), dtype=np.int64)
    if speakers is not None:
        if len(speakers) != len(means):
            raise DataError(f"saliency: {len(speakers)} speakers for {len(means)} rows of means")
        who = np.unique(np.asarray(speakers)[rows], return_inverse=True)[1].reshape(-1).astype(np.int64)
    scores, r = _drawn(H, L, who, _weights(who, draws, seed))
    S = scores.mean(axis=1)
    return Saliency(_band(S), _band(r), scores[0], S[1:])


def salient(means: Sequence[NDArray[Any]], targets: NDArray[Any], *, seed: int = 0) -> int:
    """Return the layer of the highest score, without bands, the lower on a tie; see :func:`highest`.

    Parameters
    ----------
    means
        One array (U, N) for each layer, of its own N: the padding of narrower layers is no dimension.
    targets, seed
        As for :func:`saliency`, but a target may be NaN where it is not known: its score is that of the utterances
        for which it is, and a target that is not known for any is left out.
    """
    known = ~np.isnan(targets)
    scores = np.zeros(len(means))
    # Targets that are known for the same utterances share their correlations.
    for rows in np.unique(known[:, known.any(axis=0)], axis=1).T:
        same = (known == rows[:, None]).all(axis=0)
        wanted = targets[np.ix_(rows, same)]
        scores += [saliency(layer[rows], wanted, draws=0, seed=seed).targets.sum() for layer in means]
    return _highest(scores / known.any(axis=0).sum())


def highest(found: Sequence[Saliency], *, correlation: bool = False) -> int:
    """Return the layer of the highest score, the lower on a tie (it costs less); every layer is a candidate.

    ``correlation`` asks for the highest mean of r instead.
    """
    values = np.array([(s.correlation if correlation else s.score).value for s in found])
    return _highest(values)


def _highest(values: Floats) -> int:
    return int(np.flatnonzero(values >= values.max() - 1e-12)[0])


def shares(found: Sequence[Saliency]) -> Floats | None:
    """Return the share of draws in which each layer scores highest, shape (layers,); None without draws."""
    drawn = np.stack([s.draws for s in found])
    if not drawn.shape[1]:
        return None
    first = (drawn >= drawn.max(axis=0) - 1e-12).argmax(axis=0)
    share: Floats = np.bincount(first, minlength=len(found)) / drawn.shape[1]
    return share


def one_vs_rest(labels: NDArray[np.int64], classes: int) -> Floats:
    """Return targets for class numbers 0 … classes - 1: 1 where it is the class, else 0; shape (U, classes)."""
    columns: Floats = np.eye(classes)[labels]
    return columns


def sample(utterances: int, seed: int = 0, largest: int = MAX_ROWS) -> NDArray[np.int64]:
    """Return the row numbers, ascending: all, or as many as ``largest`` drawn without replacement."""
    if utterances <= largest:
        return np.arange(utterances)
    return np.sort(np.random.default_rng(seed).choice(utterances, largest, replace=False))


def _weights(who: NDArray[np.int64], draws: int, seed: int) -> Floats:
    """Return the times that each speaker counts, shape (1 + draws, speakers): the sample itself first."""
    speakers = int(who.max()) + 1
    whole = np.ones((1, speakers))
    if speakers < FEWEST or not draws:
        return whole
    alike = np.zeros(speakers, dtype=np.int64)
    return np.concatenate([whole, *draws_of_units(alike, draws, np.random.default_rng(seed))])


def _drawn(H: Floats, L: Floats, who: NDArray[np.int64], weights: Floats) -> tuple[Floats, Floats]:
    """Score of each target in each row of weights, shape (draws, D); and mean of r, shape (draws,)."""
    order = np.argsort(who, kind="stable")
    start = np.searchsorted(who[order], np.arange(weights.shape[1] + 1))
    H, L = H[order], L[order]
    n = weights @ np.diff(start)[:, None].astype(np.float64)

    def mean(values: Floats) -> Floats:
        """Return the weighted mean in each draw of sums by speaker, (draws, ...)."""
        result: Floats = (weights @ np.add.reduceat(values, start[:-1], axis=0)) / n
        return result

    m, t = mean(H), mean(L)
    h_inverse, t_inverse = _inverse_sd(mean(H * H), m), _inverse_sd(mean(L * L), t)
    r = np.stack([mean(H * L[:, d : d + 1]) for d in range(L.shape[1])], axis=-1)
    r = np.abs(r - m[:, :, None] * t[:, None, :]) * h_inverse[:, :, None] * t_inverse[:, None, :]
    r = np.minimum(r, 1.0)
    dims = H.shape[1]
    repeated = np.zeros_like(m)
    for here, products in _products(H, start, len(weights)):
        R = (weights @ products.reshape(len(products), -1)).reshape(len(weights), -1, dims) / n[:, :, None]
        R -= m[:, here, None] * m[:, None, :]
        repeated[:, here] = h_inverse[:, here] * (np.abs(R, out=R) @ h_inverse[:, :, None])[:, :, 0]
    # Without j itself, whose correlation is 1 where it is not constant.
    repeated -= h_inverse > 0
    S = (r * (1 + repeated / max(dims - 1, 1))[:, :, None]).mean(axis=1)
    return S, r.mean(axis=(1, 2))


def _products(H: Floats, start: NDArray[np.int64], draws: int) -> Iterator[tuple[slice, Floats]]:
    """Yield sums of H_i H_j by speaker for some columns i at a time: their slice and (speakers, columns, N)."""
    speakers, dims = len(start) - 1, H.shape[1]
    step = max(1, min(dims, _ROOM // (max(speakers, draws) * dims)))
    for first in range(0, dims, step):
        here = slice(first, min(first + step, dims))
        pieces = (H[a:b] for a, b in pairwise(start))
        yield here, np.stack([rows[:, here].T @ rows for rows in pieces])


def _inverse_sd(square: Floats, mean: Floats) -> Floats:
    """Return one over the standard deviation, 0 where it is rounding."""
    variance = square - mean**2
    varies = variance > _ROUNDING * square
    return np.where(varies, 1 / np.sqrt(np.where(varies, variance, 1.0)), 0.0)


def _checked(values: NDArray[Any], name: str) -> Floats:
    """Return the columns standardised, so that moments lose no digits; a constant column is 0."""
    if values.ndim != 2 or not values.size:
        raise DataError(
            f"saliency: {name} have shape {values.shape}, expected (utterances, columns), not empty"
        )
    if not np.isfinite(values).all():
        bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
        raise DataError(f"saliency: {name} are NaN or infinite in row {first_five(bad)}")
    X: Floats = values.astype(np.float64)
    sd, largest = X.std(axis=0), np.abs(X).max(axis=0)
    # Means are float32: a spread below a millionth of the values is their rounding.
    varies = sd > 1e-6 * largest
    result: Floats = np.where(varies, (X - X.mean(axis=0)) / np.where(varies, sd, 1.0), 0.0)
    return result


def _band(values: Floats) -> Band:
    value, draws = float(values[0]), values[1:]
    if not len(draws):
        return Band(value, None, None)
    low, high = percentile(draws - draws.mean() + value)
    return Band(value, low, high)
