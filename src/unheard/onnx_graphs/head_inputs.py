"""The inputs of a head's graph: what it takes of each by name, and which frames are valid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from unheard.errors import UsageError, first_five
from unheard.inputs import Form
from unheard.onnx_graphs.graph import Graph


class Shape(NamedTuple):
    """The shape of an input: its form, the values of a row or frame, and the number of layers, 1 for one."""

    form: Form
    dims: int
    layers: int = 1


@dataclass(frozen=True)
class Taken:
    """An input of a graph.

    Attributes
    ----------
    shape
        Shape of a clip's array.
    values
        Name of the tensor, (B, …) in the form of the input, float32.
    lengths
        Name of the tensor of valid frames (B,) int64, where clips have frames; else empty.
    """

    shape: Shape
    values: str
    lengths: str = ""


def take(g: Graph, name: str, shape: Shape) -> Taken:
    """Add an input: ``NAME`` and, where clips have frames, ``NAME.lengths``."""
    # A name of its own: onnxruntime takes axes of one name, also of two inputs, for equally long.
    time = f"{name}.time"
    axes: dict[Form, list[str | int]] = {
        Form.ROW: [shape.dims],
        Form.POOLED: [shape.layers, 2, shape.dims],
        Form.FRAMES: [time, shape.dims],
        Form.LAYERS: [shape.layers, time, shape.dims],
    }
    values = g.take(name, g.types.FLOAT, ["batch", *axes[shape.form]])
    lengths = g.take(f"{name}.lengths", g.types.INT64, ["batch"]) if shape.form.has_frames else ""
    return Taken(shape, values, lengths)


def input_of(inputs: Mapping[str, Taken], name: str | None, head: str) -> Taken:
    """Return the input that a head takes: the named one, or the only one."""
    if name is None and len(inputs) == 1:
        return next(iter(inputs.values()))
    if name is None or name not in inputs:
        raise UsageError(f"the head {head!r} takes the input {name!r}, and there are {first_five(inputs)}")
    return inputs[name]


def valid_frames(g: Graph, frames: str, lengths: str) -> str:
    """Return a tensor that is true at the valid frames of (B, T, dims), shape (B, T, 1)."""
    length = g.add("Gather", g.add("Shape", frames), g.constant(1, np.int64))
    places = g.add("Range", g.constant(0, np.int64), length, g.constant(1, np.int64))
    return g.add(
        "Less",
        g.add("Unsqueeze", places, g.constant([0, 2])),
        g.add("Unsqueeze", lengths, g.constant([1, 2])),
    )
