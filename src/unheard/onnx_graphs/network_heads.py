"""Graphs of the heads that are networks over frames; dropout is nothing in use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard.errors import UsageError
from unheard.inputs import Form
from unheard.onnx_graphs.graph import Graph
from unheard.onnx_graphs.head_inputs import Taken, input_of, valid_frames
from unheard.onnx_graphs.head_outputs import Columns, changed

State = Mapping[str, NDArray[Any]]


def tcgru(g: Graph, head: Any, inputs: Mapping[str, Taken], columns: Columns) -> str:
    """Return the outputs of ``heads/tcgru_network.py``."""
    w, taken = weights_of(head), frames_of(head, inputs, Form.FRAMES)
    frames, lengths = taken.values, taken.lengths
    standardised = g.add("Div", g.add("Sub", frames, g.constant(w["mean"])), g.constant(w["scale"]))
    kept = clean(g, valid_frames(g, frames, lengths), standardised)
    sequence = g.add("Transpose", g.add("Relu", _convolved(g, w, "convolution", kept)), perm=[1, 0, 2])
    steps = g.add("Cast", lengths, to=g.types.INT32)
    first = g.add("Squeeze", gru(g, w, 0, sequence, steps, last=False), g.constant([1]))
    last = g.add("Squeeze", gru(g, w, 1, first, steps, last=True), g.constant([0]))
    embedded = g.add("Tanh", dense(g, w, "embedding", last))
    return output(g, w, embedded, columns)


def mean(g: Graph, head: Any, inputs: Mapping[str, Taken], columns: Columns) -> str:
    """Return the outputs of ``heads/mean_network.py``."""
    w, taken = weights_of(head), frames_of(head, inputs, Form.FRAMES)
    frames, lengths = taken.values, taken.lengths
    x = g.add("Relu", affine(g, w, "frame", frames)) if "frame.weight" in w else frames
    total = g.add("ReduceSum", clean(g, valid_frames(g, frames, lengths), x), g.constant([1]), keepdims=0)
    count = g.add("Unsqueeze", g.add("Cast", lengths, to=g.types.FLOAT), g.constant([1]))
    return output(g, w, g.add("Div", total, count), columns)


def weighted(g: Graph, head: Any, inputs: Mapping[str, Taken], columns: Columns) -> str:
    """Return the outputs of ``heads/weighted_network.py``."""
    w, taken = weights_of(head), frames_of(head, inputs, Form.LAYERS)
    frames, lengths = taken.values, taken.lengths
    if head.normalise:
        ones = g.constant(np.ones(taken.shape.dims, dtype=np.float32))
        frames = g.add("LayerNormalization", frames, ones, axis=-1, epsilon=1e-5)
    shares = np.asarray(head.learned_["layer_weights"], dtype=np.float32)[None, :, None, None]
    time = g.constant([1])
    mixed = g.add("ReduceSum", g.add("Mul", frames, g.constant(shares)), time, keepdims=0)
    valid = valid_frames(g, mixed, lengths)
    hidden = g.add("Relu", dense(g, w, "hidden", attentive(g, w, mixed, valid)))
    return output(g, w, hidden, columns)


def convolutional(g: Graph, head: Any, inputs: Mapping[str, Taken], columns: Columns) -> str:
    """Return the outputs of ``heads/convolutional_network.py``; its batch norm is part of the output's weights."""
    w, taken = weights_of(head), frames_of(head, inputs, Form.FRAMES)
    frames, lengths = taken.values, taken.lengths
    valid = valid_frames(g, frames, lengths)
    standardised = g.add("Div", g.add("Sub", frames, g.constant(w["mean"])), g.constant(w["scale"]))
    ones = g.constant(np.ones(taken.shape.dims, dtype=np.float32))
    x = g.add("LayerNormalization", standardised, ones, axis=-1, epsilon=1e-5)
    x = g.add("Relu", _convolved(g, w, "near", clean(g, valid, x)))
    x = g.add("Add", x, g.add("Relu", _convolved(g, w, "far", clean(g, valid, x), dilation=2)))
    gain = w["norm.weight"] / np.sqrt(w["norm.running_var"] + 1e-5)
    shift = w["norm.bias"] - gain * w["norm.running_mean"]
    folded = {
        "output.weight": w["output.weight"] * gain,
        "output.bias": w["output.bias"] + w["output.weight"] @ shift,
    }
    return output(g, folded, attentive(g, w, x, valid), columns)


def attentive(g: Graph, w: State, frames: str, valid: str) -> str:
    """Return attentive statistics (B, 2 dims) of the valid frames (B, T, dims), with the weights ``pool``."""
    time = g.constant([1])
    kept = clean(g, valid, frames)
    energy = affine(g, w, "pool.direction", g.add("Tanh", affine(g, w, "pool.projection", kept)))
    share = g.add("Softmax", g.add("Where", valid, energy, g.constant(-np.inf, np.float32)), axis=1)
    first = g.add("ReduceSum", g.add("Mul", share, kept), time, keepdims=0)
    square = g.add("ReduceSum", g.add("Mul", share, g.add("Mul", kept, kept)), time, keepdims=0)
    variance = g.add("Sub", square, g.add("Mul", first, first))
    sd = g.add("Sqrt", g.add("Max", variance, g.constant(1e-6, np.float32)))
    return g.add("Concat", first, sd, axis=1)


def _convolved(g: Graph, w: State, name: str, x: str, dilation: int = 1) -> str:
    """Apply ``Conv1d`` of kernel 3 to (B, T, dims), which gives as many frames as it takes."""
    kernel, bias = g.constant(w[f"{name}.weight"]), g.constant(w[f"{name}.bias"])
    channels = g.add(
        "Conv", g.add("Transpose", x, perm=[0, 2, 1]), kernel, bias, pads=[dilation] * 2, dilations=[dilation]
    )
    return g.add("Transpose", channels, perm=[0, 2, 1])


def gru(g: Graph, w: State, layer: int, sequence: str, steps: str, *, last: bool, both: bool = False) -> str:
    """Apply one GRU layer to (T, B, dims): all steps (T, D, B, hidden), or the last valid one (D, B, hidden).

    D is the number of directions, 2 for ``both``, else 1.
    """
    hidden = w[f"gru.weight_hh_l{layer}"].shape[1]

    def gates(name: str) -> NDArray[Any]:
        # torch orders reset, update, new; ONNX update, reset, new.
        reset, update, new = np.split(w[f"gru.{name}"], 3)
        return np.concatenate([update, reset, new])

    names = [f"l{layer}", f"l{layer}_reverse"] if both else [f"l{layer}"]
    kernels = [np.stack([gates(f"weight_{part}_{name}") for name in names]) for part in ("ih", "hh")]
    biases = np.stack(
        [np.concatenate([gates(f"bias_{part}_{name}") for part in ("ih", "hh")]) for name in names]
    )
    weights = [g.constant(value) for value in (*kernels, biases)]
    return g.add(
        "GRU",
        sequence,
        *weights,
        steps,
        outputs=2 if last else 1,
        hidden_size=hidden,
        linear_before_reset=1,
        direction="bidirectional" if both else "forward",
    )


def output(g: Graph, w: State, x: str, columns: Columns) -> str:
    """Apply the layer of ``heads/output_layer.py``: dimensions pass through a sigmoid."""
    outputs = dense(g, w, "output", x)
    return changed(g, outputs, columns, dimensions=lambda part: g.add("Sigmoid", part))


def dense(g: Graph, w: State, name: str, x: str) -> str:
    """Apply ``Linear`` to (B, dims)."""
    return g.add("Gemm", x, g.constant(w[f"{name}.weight"]), g.constant(w[f"{name}.bias"]), transB=1)


def affine(g: Graph, w: State, name: str, x: str) -> str:
    """Apply ``Linear`` to the last axis of (B, T, dims)."""
    y = g.add("MatMul", x, g.constant(w[f"{name}.weight"].T))
    return g.add("Add", y, g.constant(w[f"{name}.bias"])) if f"{name}.bias" in w else y


def clean(g: Graph, valid: str, x: str) -> str:
    """Return x with zeros where nothing is valid."""
    return g.add("Where", valid, x, g.constant(0.0, np.float32))


def frames_of(head: Any, inputs: Mapping[str, Taken], form: Form) -> Taken:
    """Return the input that a head takes, which must have the form."""
    taken = input_of(inputs, head.input, head.name)
    if taken.shape.form is not form:
        raise UsageError(f"the head {head.name!r} takes {form}, not an input of the form {taken.shape.form}")
    return taken


def weights_of(head: Any) -> State:
    """Return the arrays of a head's network by their names in it."""
    prefix = "network."
    return {name.removeprefix(prefix): v for name, v in head.state().items() if name.startswith(prefix)}
