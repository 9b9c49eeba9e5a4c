"""The blocks of metrics that apply to a table, by what truth it holds. A new block is listed here.

A results file holds the estimates of each block under the block's key, so the same list says how to read one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from unheard.metrics.all_inclusive import AllInclusive
from unheard.metrics.block import Block, Metric
from unheard.metrics.classes import Classes
from unheard.metrics.dimensional import MEAN, Dimensions
from unheard.metrics.distributional import Distribution
from unheard.metrics.k_best import KBest
from unheard.metrics.majority import Majority
from unheard.metrics.rows import Rows


def blocks(rows: Rows) -> list[Block]:
    """Return the blocks that some row has the truth for, in the order of reports."""
    c = len(rows.classes)
    of_classes = _of_classes(c) if c else ()
    of_dimensions: tuple[Block, ...] = (Dimensions(rows.dimensions),) if rows.dimensions else ()
    return [block for block in (*of_classes, *of_dimensions) if block.known(rows).any()]


def _of_classes(c: int) -> tuple[Block, ...]:
    k_best = (KBest(c),) if KBest(c).metrics else ()
    return (Classes(c), *k_best, Majority(c), Distribution(c), AllInclusive(c))


def key(block: Block) -> str:
    """Return the key of a block's estimates in a results file; those of classes stand under ``metrics``."""
    return "metrics" if isinstance(block, Classes) else block.name


def stored_metrics(results: Mapping[str, Any]) -> Iterator[tuple[Metric, Mapping[str, Any]]]:
    """Yield each metric of a results file with its estimate, in the order of reports."""
    c = len(results.get("labels") or ())
    listed = (*_of_classes(c), Dimensions(stored_dimensions(results)))
    for block in listed:
        estimates = results.get(key(block)) or {}
        for metric in block.metrics:
            if metric.name in estimates:
                yield metric, estimates[metric.name]


def stored_dimensions(results: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the dimensions that a results file has scores of."""
    names = (name.split(".")[0] for name in results.get(Dimensions.name) or {})
    return tuple(dict.fromkeys(name for name in names if name != MEAN))
