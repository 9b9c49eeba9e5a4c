"""The blocks of metrics that apply to a table, by what truth it holds. A new block is listed here."""

from __future__ import annotations

from unheard.metrics.block import Block
from unheard.metrics.classes import Classes
from unheard.metrics.dimensional import Dimensions
from unheard.metrics.distributional import Distribution
from unheard.metrics.rows import Rows


def blocks(rows: Rows) -> list[Block]:
    """Return the blocks that some row has the truth for, in the order of reports."""
    c = len(rows.classes)
    of_classes: tuple[Block, ...] = (Classes(c), Distribution(c)) if c else ()
    of_dimensions: tuple[Block, ...] = (Dimensions(rows.dimensions),) if rows.dimensions else ()
    return [block for block in (*of_classes, *of_dimensions) if block.known(rows).any()]
