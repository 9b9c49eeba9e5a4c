"""Sums of the rows that clips give to a block of metrics: by group, by unit and seed."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def grouped(values: Floats, group: NDArray[np.int64], groups: int) -> Floats:
    """Sum rows by group, shape (groups, width)."""
    order = np.argsort(group, kind="stable")
    present, start = np.unique(group[order], return_index=True)
    result = np.zeros((groups, values.shape[1]))
    result[present] = np.add.reduceat(values[order], start, axis=0)
    return result


def crossed(values: Floats, rows: pl.Series, columns: pl.Series) -> Floats:
    """Sum clips by the sorted values of two columns, shape (rows, columns, width)."""
    names, row = np.unique(rows.to_numpy(), return_inverse=True)
    seeds, column = np.unique(columns.to_numpy(), return_inverse=True)
    sums = grouped(values, row * len(seeds) + column, len(names) * len(seeds))
    return sums.reshape(len(names), len(seeds), -1)


def over_seeds(values: Floats) -> Floats:
    """Return the mean over the last axis of the seeds that have clips there (a broken run may lack some)."""
    there = ~np.isnan(values)
    total = np.where(there, values, 0.0).sum(axis=-1)
    seeds = there.sum(axis=-1).astype(np.float64)
    means: Floats = np.divide(total, seeds, out=np.full(seeds.shape, np.nan), where=seeds > 0)
    return means
