"""What the graphs of all heads take and give: frames, which of them are valid, logits."""

from __future__ import annotations

import numpy as np

from unheard.onnx_graphs.graph import Graph


def taken_frames(g: Graph, dims: int, entries: int | None = None) -> tuple[str, str]:
    """Inputs (B, T, dims), or of all layers (B, entries, T, dims), and lengths (B,)."""
    frames = g.take("frames", g.types.FLOAT, ["batch", *([entries] if entries else []), "time", dims])
    return frames, g.take("lengths", g.types.INT64, ["batch"])


def valid_frames(g: Graph, frames: str, lengths: str) -> str:
    """True at the valid frames of (B, T, dims), shape (B, T, 1)."""
    length = g.add("Gather", g.add("Shape", frames), g.constant(1, np.int64))
    places = g.add("Range", g.constant(0, np.int64), length, g.constant(1, np.int64))
    return g.add(
        "Less",
        g.add("Unsqueeze", places, g.constant([0, 2])),
        g.add("Unsqueeze", lengths, g.constant([1, 2])),
    )


def answered(g: Graph, logits: str, classes: int) -> bytes:
    """Return the bytes of the checked graph that gives ``logits`` (B, classes)."""
    g.give("logits", logits, ["batch", classes])
    return g.bytes()
