"""Graphs of the heads over several inputs: concatenation, gates, cross-attention and alignment.

The same as ``heads/networks/several_inputs_network.py`` computes. An input that a clip lacks has length 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unheard.errors import UsageError, first_five
from unheard.inputs import Form
from unheard.onnx_graphs.graph import Graph
from unheard.onnx_graphs.head_inputs import Taken, valid_frames
from unheard.onnx_graphs.head_outputs import Columns
from unheard.onnx_graphs.network_heads import affine, clean, dense, gru, output, weights_of

State = Mapping[str, NDArray[Any]]


class _Part(NamedTuple):
    """Tensors of an input: mapped frames (B, T, hidden), which are valid (B, T, 1), and whether any is (B, 1)."""

    name: str
    frames: str
    valid: str
    there: str


def concatenation(g: Graph, head: Any, inputs: Mapping[str, Taken], columns: Columns) -> str:
    """Return the outputs of ``ConcatenationNetwork``."""
    w = weights_of(head)
    means = [_pooled(g, w, part, g.add("Relu", part.frames)) for part in _parts(g, w, head, inputs)]
    return output(g, w, _side_by_side(g, means), columns)


def gates(g: Graph, head: Any, inputs: Mapping[str, Taken], columns: Columns) -> str:
    """Return the outputs of ``GatesNetwork``."""
    w = weights_of(head)
    parts = _parts(g, w, head, inputs)
    means = [_pooled(g, w, part, g.add("Tanh", part.frames)) for part in parts]
    shape = g.constant([-1, len(parts), head.hidden])
    scores = g.add("Reshape", dense(g, w, "gate", _side_by_side(g, means)), shape)
    there = g.add("Concat", *(g.add("Unsqueeze", part.there, g.constant([1])) for part in parts), axis=1)
    shares = g.add("Softmax", g.add("Where", there, scores, _lowest(g)), axis=1)
    stacked = g.add("Reshape", _side_by_side(g, means), shape)
    weighed = g.add("ReduceSum", g.add("Mul", shares, stacked), g.constant([1]), keepdims=0)
    return output(g, w, weighed, columns)


def cross_attention(g: Graph, head: Any, inputs: Mapping[str, Taken], columns: Columns) -> str:
    """Return the outputs of ``CrossAttentionNetwork``."""
    w = weights_of(head)
    parts = _parts(g, w, head, inputs)
    found = []
    for part in parts:
        others = [other for other in parts if other.name != part.name] or [part]
        keys = g.add("Concat", *(other.frames for other in others), axis=1)
        seen = g.add("Concat", *(other.valid for other in others), axis=1)
        residual = g.add("Add", part.frames, _attention(g, w, head, part, keys, seen))
        norm = [g.constant(w[f"norm.{part.name}.{name}"]) for name in ("weight", "bias")]
        attended = g.add("LayerNormalization", residual, *norm, axis=-1, epsilon=1e-5)
        found.append(_pooled(g, w, part, attended))
    return output(g, w, _side_by_side(g, found), columns)


def alignment(g: Graph, head: Any, inputs: Mapping[str, Taken], columns: Columns) -> str:
    """Return the outputs of ``AlignmentNetwork``."""
    w = weights_of(head)
    part, *others = _parts(g, w, head, inputs)
    keys = g.add("Concat", *(other.frames for other in others or [part]), axis=1)
    seen = g.add("Concat", *(other.valid for other in others or [part]), axis=1)
    # Where no frame is valid the first is, and a learned vector stands in it.
    length = g.add("Gather", g.add("Shape", part.frames), g.constant(1, np.int64))
    places = g.add("Range", g.constant(0, np.int64), length, g.constant(1, np.int64))
    first = g.add("Equal", g.add("Unsqueeze", places, g.constant([0, 2])), g.constant(0, np.int64))
    lacking = g.add("Unsqueeze", g.add("Not", part.there), g.constant([1]))
    stands = g.add("And", first, lacking)
    frames = g.add("Where", stands, g.constant(w[f"absent.{part.name}"]), part.frames)
    valid = g.add("Or", part.valid, stands)
    scores = g.add("MatMul", affine(g, w, "align", frames), g.add("Transpose", keys, perm=[0, 2, 1]))
    shares = g.add(
        "Softmax", g.add("Where", g.add("Transpose", seen, perm=[0, 2, 1]), scores, _lowest(g)), axis=2
    )
    found = g.add("Concat", frames, g.add("MatMul", shares, clean(g, seen, keys)), axis=2)
    counts = g.add("ReduceSum", g.add("Cast", valid, to=g.types.INT32), g.constant([1, 2]), keepdims=0)
    sequence = g.add("Transpose", found, perm=[1, 0, 2])
    states = g.add("Transpose", gru(g, w, 0, sequence, counts, last=False, both=True), perm=[2, 0, 1, 3])
    states = g.add("Reshape", states, g.constant([0, 0, 2 * head.recurrent]))
    time = g.constant([1])
    total = g.add("ReduceSum", clean(g, valid, states), time, keepdims=0)
    mean = g.add("Div", total, g.add("Cast", g.add("Unsqueeze", counts, time), to=g.types.FLOAT))
    highest = g.add("ReduceMax", g.add("Where", valid, states, _lowest(g)), time, keepdims=0)
    return output(g, w, _side_by_side(g, [mean, highest]), columns)


def _attention(g: Graph, w: State, head: Any, part: _Part, keys: str, seen: str) -> str:
    """Return what the frames of a part find in the keys (B, S, hidden) that are seen (B, S, 1); else zeros."""
    name, heads = f"attention.{part.name}", head.attention_heads
    apart = g.constant([0, 0, heads, head.hidden // heads])
    rows = {
        of: g.add("Reshape", affine(g, w, f"{name}.{of}", x), apart)
        for of, x in (("query", part.frames), ("key", keys), ("value", keys))
    }
    scale = g.constant(1 / math.sqrt(head.hidden // heads), np.float32)
    query = g.add("Transpose", g.add("Mul", rows["query"], scale), perm=[0, 2, 1, 3])
    scores = g.add("MatMul", query, g.add("Transpose", rows["key"], perm=[0, 2, 3, 1]))
    bias = g.add("Where", seen, g.constant(0.0, np.float32), _lowest(g))
    bias = g.add("Unsqueeze", g.add("Transpose", bias, perm=[0, 2, 1]), g.constant([1]))
    shares = g.add("Softmax", g.add("Add", scores, bias), axis=-1)
    mixed = g.add("MatMul", shares, g.add("Transpose", rows["value"], perm=[0, 2, 1, 3]))
    together = g.add("Reshape", g.add("Transpose", mixed, perm=[0, 2, 1, 3]), g.constant([0, 0, head.hidden]))
    any_seen = g.add("Unsqueeze", _any(g, seen), g.constant([1]))
    return clean(g, any_seen, affine(g, w, f"{name}.out", together))


def _parts(g: Graph, w: State, head: Any, inputs: Mapping[str, Taken]) -> list[_Part]:
    """Return the inputs of a head, standardised and mapped; a row is one frame."""
    missing = [name for name in head.sizes_ if name not in inputs]
    if missing:
        raise UsageError(
            f"the head {head.name!r} takes the input {missing[0]!r}, and there are {first_five(inputs)}"
        )
    found = []
    for name in head.sizes_:
        taken = inputs[name]
        if taken.shape.form not in (Form.ROW, Form.FRAMES):
            raise UsageError(f"the head {head.name!r} takes frames or rows, not the form {taken.shape.form}")
        values, lengths = taken.values, taken.lengths
        if taken.shape.form is Form.ROW:
            batch = g.add("Gather", g.add("Shape", values), g.constant([0]))
            lengths = g.add("Expand", g.constant([1]), batch)
            values = g.add("Unsqueeze", values, g.constant([1]))
        valid = valid_frames(g, values, lengths)
        centred = g.add("Sub", values, g.constant(w[f"mean_{name}"]))
        standard = g.add("Div", centred, g.constant(w[f"scale_{name}"]))
        mapped = affine(g, w, f"map.{name}", clean(g, valid, standard))
        found.append(_Part(name, mapped, valid, _any(g, valid)))
    return found


def _pooled(g: Graph, w: State, part: _Part, frames: str) -> str:
    """Return the mean (B, hidden) over valid frames, or what stands for an input that a clip lacks."""
    time = g.constant([1])
    total = g.add("ReduceSum", clean(g, part.valid, frames), time, keepdims=0)
    count = g.add("ReduceSum", g.add("Cast", part.valid, to=g.types.FLOAT), time, keepdims=0)
    mean = g.add("Div", total, g.add("Max", count, g.constant(1.0, np.float32)))
    return g.add("Where", part.there, mean, g.constant(w[f"absent.{part.name}"][None]))


def _any(g: Graph, valid: str) -> str:
    """Return whether any of (B, T, 1) is true, (B, 1)."""
    most = g.add("ReduceMax", g.add("Cast", valid, to=g.types.FLOAT), g.constant([1]), keepdims=0)
    return g.add("Greater", most, g.constant(0.5, np.float32))


def _side_by_side(g: Graph, means: list[str]) -> str:
    return g.add("Concat", *means, axis=1)


def _lowest(g: Graph) -> str:
    return g.constant(np.finfo(np.float32).min, np.float32)
