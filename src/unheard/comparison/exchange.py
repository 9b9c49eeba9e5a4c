"""Paired comparison of two systems in any metric of sums: the clips of a speaker change hands together.

Sums of the systems A and B have the shape (speakers, seeds, width) and are of the same clips. If the systems are
alike, the sums of a speaker may as well be the other system's: exchanging them at random for each speaker gives
the difference that chance alone makes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import lcm

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unheard.comparison.paired import EXACT, TIE, sign_patterns
from unheard.metrics.block import Block
from unheard.metrics.intervals import DRAWS, FEWEST, draws_of_units, percentile
from unheard.metrics.rows import UNIT, Rows
from unheard.metrics.sums import crossed, over_seeds

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """A minus B of one metric: pooled, its 95 % interval over speakers (None below four), and p by exchange."""

    difference: float
    low: float | None
    high: float | None
    p: float


def differences(block: Block, a: Rows, b: Rows, draws: int = DRAWS, seed: int = 0) -> dict[str, Difference]:
    """Compare two systems in every metric of a block, on the same clips.

    Parameters
    ----------
    block
        The block.
    a, b
        Rows of the systems: equal clips, which may have unequal folds and numbers of seeds.
    draws, seed
        Bootstrap draws of speakers, and the seed of all chance in here.

    Returns
    -------
    For each metric the difference of the pooled scores, seeds averaged. The interval draws all speakers alike, not
    within gender, and p counts all exchanges of up to 16 speakers, else 100,000 at random, as the test of
    accuracies does.
    """
    names = tuple(metric.name for metric in block.metrics)
    sums_a, sums_b = _aligned(_sums(block, a), _sums(block, b))

    def compared(of_a: Floats, of_b: Floats) -> dict[str, Floats]:
        scores_a, scores_b = block.scores(of_a), block.scores(of_b)
        return {name: over_seeds(scores_a[name]) - over_seeds(scores_b[name]) for name in names}

    found = compared(sums_a.sum(axis=0), sums_b.sum(axis=0))
    units, seeds, width = sums_a.shape
    both = np.concatenate([sums_a, sums_b], axis=1).reshape(units, -1)
    drawn: dict[str, list[Floats]] = {name: [] for name in names}
    if units >= FEWEST:
        rng = np.random.default_rng(seed)
        for weights in draws_of_units(np.zeros(units, np.int64), draws, rng, both.shape[1]):
            sums = (weights @ both).reshape(-1, 2, seeds, width)
            for name, value in compared(sums[:, 0], sums[:, 1]).items():
                drawn[name].append(value)
    hits, total = dict.fromkeys(names, 0), 0
    gap = (sums_a - sums_b).reshape(units, -1)
    middle = (sums_a + sums_b).sum(axis=0)
    for pattern in sign_patterns(units, seed, gap.shape[1]):
        moved = (pattern @ gap).reshape(-1, seeds, width)
        for name, value in compared((middle + moved) / 2, (middle - moved) / 2).items():
            hits[name] += int((np.abs(value) >= abs(found[name]) - TIE).sum())
        total += len(pattern)
    result = {}
    for name in names:
        low, high = percentile(np.concatenate(drawn[name])) if drawn[name] else (None, None)
        p = hits[name] / total if units <= EXACT else (1 + hits[name]) / (1 + total)
        result[name] = Difference(float(found[name]), low, high, p)
    return result


def _sums(block: Block, rows: Rows) -> Floats:
    return crossed(block.columns(rows), rows.frame["unit"], rows.frame["seed"])


def _aligned(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Repeat the seeds of both until there are equally many; the mean over seeds stays what it was."""
    seeds = lcm(a.shape[1], b.shape[1])
    return np.tile(a, (1, seeds // a.shape[1], 1)), np.tile(b, (1, seeds // b.shape[1], 1))


def common(a: Rows, b: Rows) -> tuple[Rows, Rows]:
    """Return the rows of the clips that both systems tested, with the dimensions that both have.

    A speaker that one table knows is known in both.
    """
    known = pl.concat(rows.frame.select("id", "speaker") for rows in (a, b)).drop_nulls()
    speakers = known.unique("id", keep="first", maintain_order=True)
    dimensions = tuple(name for name in a.dimensions if name in b.dimensions)

    def of(rows: Rows, ids: pl.Series) -> Rows:
        kept = rows.where(rows.frame["id"].is_in(ids.unique().implode()).to_numpy()).of_dimensions(dimensions)
        frame = kept.frame.drop("speaker").join(speakers, on="id", how="left", maintain_order="left")
        return replace(kept, frame=frame.with_columns(UNIT))

    return of(a, b.frame["id"]), of(b, a.frame["id"])


def by_speaker(block: Block, rows: Rows, name: str) -> pl.DataFrame:
    """Return ``unit`` and ``value``: a metric of each speaker, mean over seeds; one row a unit, sorted."""
    scores = block.scores(_sums(block, rows))[name]
    return pl.DataFrame({"unit": np.unique(rows.frame["unit"].to_numpy()), "value": over_seeds(scores)})
