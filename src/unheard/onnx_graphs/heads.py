"""Heads as ONNX graphs.

Four forms of input, float32. Utterance features: ``features`` (B, dims). Pooled entries of an encoder:
``features`` (B, entries, 2, dims). Frames: ``frames`` (B, T, dims) with ``lengths`` (B,) int64, of which whatever
lies beyond a clip's length is ignored. All layers: ``frames`` (B, entries, T, dims) and ``lengths``. Output:
``logits`` (B, classes) float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from unheard.errors import UsageError, need
from unheard.onnx_graphs import network_heads as networks
from unheard.onnx_graphs.frames import answered, taken_frames, valid_frames
from unheard.onnx_graphs.graph import Graph


def graph_of(head: Any, kind: str, dims: int, entries: int = 1) -> bytes:
    """ONNX model of a fitted head for features of ``dims`` and, where there are several, so many ``entries``.

    ``kind`` is ``utterance``, ``frames``, ``pooled`` or ``layers``.

    Raises
    ------
    UsageError
        Where no graph is known for the head.
    """
    writers: dict[str, Callable[[Any, str, int, int], bytes]] = {
        "probe": _linear,
        "svm": _linear,
        "tcgru": networks.tcgru,
        "ensemble": _ensemble,
        "convolutional": networks.convolutional,
        "emobox": networks.mean,
        "mean": networks.mean,
        "weighted": networks.weighted,
    }
    if head.name not in writers:
        raise UsageError(f"the head {head.name!r} has no graph in bundle/graphs and cannot be exported")
    return writers[head.name](head, kind, dims, entries)


def _ensemble(head: Any, kind: str, dims: int, entries: int) -> bytes:
    """The heads' graphs on the same input, and the mean of their log probabilities."""
    onnx = need("onnx", "eval")
    g = Graph()
    frames, lengths = taken_frames(g, dims)
    answers = []
    for number, each in enumerate(head.heads_, 1):
        model = onnx.load_from_string(graph_of(each, kind, dims, entries))
        (own,) = g.include(model, f"{number}.", {"frames": frames, "lengths": lengths})
        answers.append(g.add("LogSoftmax", own, axis=1))
    classes = model.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    # Heads of the same input standardise alike.
    g.share_constants()
    return answered(g, g.add("Mean", *answers), classes)


def _linear(head: Any, kind: str, dims: int, entries: int) -> bytes:
    """Statistics over frames, standardisation and one matrix; in float64, as the head computes."""
    state = head.state()
    g = Graph()
    if kind == "utterance":
        x = g.add("Cast", g.take("features", g.types.FLOAT, ["batch", dims]), to=g.types.DOUBLE)
    elif kind == "pooled":
        x = _pooled(g, head, dims, entries)
    else:
        x = _statistics(g, dims, head.statistics)
    centred = g.add("Sub", x, g.constant(state["mean_"]))
    standardised = g.add("Div", centred, g.constant(state["scale_"]))
    z = g.add("Gemm", standardised, g.constant(state["coef_"].T), g.constant(state["intercept_"]))
    return answered(g, g.add("Cast", z, to=g.types.FLOAT), len(state["intercept_"]))


def _pooled(g: Graph, head: Any, dims: int, entries: int) -> str:
    """Columns of the entries that a linear head uses: their means, or means and deviations, beside each other."""
    taken = g.take("features", g.types.FLOAT, ["batch", entries, 2, dims])
    used = g.add("Gather", g.add("Cast", taken, to=g.types.DOUBLE), g.constant(head.layers_), axis=1)
    kept = [0, 1] if head.statistics == "mean+sd" else [0]
    x = g.add("Gather", used, g.constant(np.array(kept, dtype=np.int64)), axis=2)
    if head.layers == "average":
        x = g.add("ReduceMean", x, g.constant([1]), keepdims=0)
    return g.add("Flatten", x, axis=1)


def _statistics(g: Graph, dims: int, statistics: str) -> str:
    """Mean, or mean and standard deviation, over the valid frames."""
    frames, lengths = taken_frames(g, dims)
    valid = valid_frames(g, frames, lengths)
    x = g.add("Cast", frames, to=g.types.DOUBLE)
    nothing = g.constant(0.0, np.float64)
    count = g.add("Unsqueeze", g.add("Cast", lengths, to=g.types.DOUBLE), g.constant([1]))
    time = g.constant([1])
    total = g.add("ReduceSum", g.add("Where", valid, x, nothing), time, keepdims=0)
    mean = g.add("Div", total, count)
    if statistics == "mean":
        return mean
    distance = g.add("Sub", x, g.add("Unsqueeze", mean, time))
    square = g.add("Where", valid, g.add("Mul", distance, distance), nothing)
    sd = g.add("Sqrt", g.add("Div", g.add("ReduceSum", square, time, keepdims=0), count))
    return g.add("Concat", mean, sd, axis=1)
