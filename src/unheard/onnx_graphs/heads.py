"""Heads as ONNX graphs.

A graph takes each input by its name, float32 in the form of the input: ``NAME`` (B, dims), (B, layers, 2, dims),
(B, T, dims) or (B, layers, T, dims); the last two with ``NAME.lengths`` (B,) int64, whatever lies beyond a clip's
length being ignored. It gives ``outputs`` (B, columns) float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from unheard.errors import UsageError
from unheard.inputs import Form
from unheard.onnx_graphs import network_heads as networks
from unheard.onnx_graphs import several_heads
from unheard.onnx_graphs.cnn_heads import cnn
from unheard.onnx_graphs.graph import Graph
from unheard.onnx_graphs.head_inputs import Shape, Taken, input_of, take, valid_frames
from unheard.onnx_graphs.head_outputs import Columns, changed

#: Adds the nodes of a fitted head with outputs of these columns to a graph, and returns the tensor of its outputs.
Writer = Callable[[Graph, Any, Mapping[str, Taken], Columns], str]


def graph_of(head: Any, inputs: Mapping[str, Shape], columns: Columns) -> bytes:
    """Return the ONNX model of a fitted head.

    Parameters
    ----------
    head
        Fitted.
    inputs
        Shapes of what it takes, by name.
    columns
        Columns of its outputs.

    Raises
    ------
    UsageError
        No graph is known for the head, or it takes another form.
    """
    g = Graph()
    outputs = _written(g, head, {name: take(g, name, shape) for name, shape in inputs.items()}, columns)
    g.share_constants()
    g.give("outputs", outputs, ["batch", sum(columns)])
    return g.bytes()


def _written(g: Graph, head: Any, inputs: Mapping[str, Taken], columns: Columns) -> str:
    writers: dict[str, Writer] = {
        "alignment": several_heads.alignment,
        "probe": _linear,
        "svm": _linear,
        "spectrogram_cnn": cnn,
        "tcgru": networks.tcgru,
        "waveform_cnn": cnn,
        "ensemble": _ensemble,
        "concatenation": several_heads.concatenation,
        "convolutional": networks.convolutional,
        "cross_attention": several_heads.cross_attention,
        "emobox": networks.mean,
        "gates": several_heads.gates,
        "mean": networks.mean,
        "weighted": networks.weighted,
    }
    if head.name not in writers:
        raise UsageError(f"the head {head.name!r} has no graph in onnx_graphs and cannot be exported")
    return writers[head.name](g, head, inputs, columns)


def _ensemble(g: Graph, head: Any, inputs: Mapping[str, Taken], columns: Columns) -> str:
    """Return the mean of the heads' log probabilities, and of their dimensions."""
    outputs = [
        changed(
            g,
            _written(g, each, inputs, columns),
            columns,
            scores=lambda x: g.add("LogSoftmax", x, axis=1),
        )
        for each in head.heads_
    ]
    return g.add("Mean", *outputs)


def _linear(g: Graph, head: Any, inputs: Mapping[str, Taken], columns: Columns) -> str:
    """Return one matrix times standardised statistics over frames; in float64, as the head computes."""
    state, taken = head.state(), input_of(inputs, head.input, head.name)
    if taken.shape.form is Form.ROW:
        x = g.add("Cast", taken.values, to=g.types.DOUBLE)
    elif taken.shape.form is Form.POOLED:
        x = _pooled(g, head, taken)
    else:
        x = _statistics(g, taken, head.statistics)
    centred = g.add("Sub", x, g.constant(state["mean_"]))
    standardised = g.add("Div", centred, g.constant(state["scale_"]))
    z = g.add("Gemm", standardised, g.constant(state["coef_"].T), g.constant(state["intercept_"]))
    z = changed(g, z, columns, dimensions=lambda x: _within_0_1(g, x))
    return g.add("Cast", z, to=g.types.FLOAT)


def _within_0_1(g: Graph, x: str) -> str:
    """Return values within [0, 1], since a ridge knows no bounds, and the scale of dimensions has them."""
    return g.add("Clip", x, g.constant(0.0, np.float64), g.constant(1.0, np.float64))


def _pooled(g: Graph, head: Any, taken: Taken) -> str:
    """Return the columns of the layers that a linear head uses: their means, or means and deviations."""
    exact = g.add("Cast", taken.values, to=g.types.DOUBLE)
    used = g.add("Gather", exact, g.constant(head.layers_), axis=1)
    kept = [0, 1] if head.statistics == "mean+sd" else [0]
    x = g.add("Gather", used, g.constant(kept, np.int64), axis=2)
    if head.layers == "average":
        x = g.add("ReduceMean", x, g.constant([1]), keepdims=0)
    return g.add("Flatten", x, axis=1)


def _statistics(g: Graph, taken: Taken, statistics: str) -> str:
    """Return the mean, or mean and standard deviation, over the valid frames."""
    valid = valid_frames(g, taken.values, taken.lengths)
    x = g.add("Cast", taken.values, to=g.types.DOUBLE)
    nothing = g.constant(0.0, np.float64)
    count = g.add("Unsqueeze", g.add("Cast", taken.lengths, to=g.types.DOUBLE), g.constant([1]))
    time = g.constant([1])
    total = g.add("ReduceSum", g.add("Where", valid, x, nothing), time, keepdims=0)
    mean = g.add("Div", total, count)
    if statistics == "mean":
        return mean
    distance = g.add("Sub", x, g.add("Unsqueeze", mean, time))
    square = g.add("Where", valid, g.add("Mul", distance, distance), nothing)
    sd = g.add("Sqrt", g.add("Div", g.add("ReduceSum", square, time, keepdims=0), count))
    return g.add("Concat", mean, sd, axis=1)
