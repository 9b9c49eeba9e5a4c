"""The outputs of a head's graph: class scores first, then dimensions, each treated in its own way."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from unheard.onnx_graphs.graph import Graph

#: Takes the name of a tensor and returns that of another.
Change = Callable[[str], str]


class Columns(NamedTuple):
    """Numbers of class scores, which come first, and of dimensions on [0, 1] among a head's outputs."""

    classes: int
    dimensions: int = 0


def changed(
    g: Graph,
    outputs: str,
    columns: Columns,
    *,
    scores: Change | None = None,
    dimensions: Change | None = None,
) -> str:
    """Return outputs (B, columns) whose class scores and whose dimensions are changed each in one way."""
    whole = sum(columns)
    parts = []
    for first, end, change in ((0, columns.classes, scores), (columns.classes, whole, dimensions)):
        if first == end:
            continue
        if (first, end) == (0, whole):
            return outputs if change is None else change(outputs)
        part = g.add("Slice", outputs, *(g.constant([number], np.int64) for number in (first, end, 1)))
        parts.append(part if change is None else change(part))
    return g.add("Concat", *parts, axis=1)
