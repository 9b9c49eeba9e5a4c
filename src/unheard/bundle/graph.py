"""Heads as ONNX graphs, written node by node with the onnx package.

Three forms of input. Utterance features: ``features`` (B, dims) float32. Pooled entries of an encoder:
``features`` (B, entries, 2, dims) float32. Frame features: ``frames`` (B, T, dims) float32 with ``lengths`` (B,)
int64, of which whatever lies beyond a clip's length is ignored. Output: ``logits`` (B, classes) float32. Written
by hand rather than by torch's exporters, whose output depends on their version and holds paths of the machine: the
same head gives the same bytes, and onnxruntime 1.18 and newer read them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard.errors import UsageError, need

#: Read by onnxruntime 1.14 and newer.
OPSET, IR_VERSION = 18, 8

State = Mapping[str, NDArray[Any]]


class Graph:
    """Collects nodes and constants; every method returns the name of its result."""

    def __init__(self) -> None:
        self.helper = need("onnx.helper", "eval")
        self.types = need("onnx", "eval").TensorProto
        self.numpy = need("onnx.numpy_helper", "eval")
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []

    def take(self, name: str, kind: Any, shape: list[Any]) -> str:
        """Add an input."""
        self.inputs.append(self.helper.make_tensor_value_info(name, kind, shape))
        return name

    def constant(self, value: Any, dtype: Any = None) -> str:
        """Add a constant tensor."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(self.numpy.from_array(np.array(value, dtype=dtype, order="C"), name))
        return name

    def add(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """Add a node; with several outputs, the name of the last is returned and the others are unused."""
        name = f"{operator.lower()}_{len(self.nodes)}"
        names = [""] * (outputs - 1) + [name]
        self.nodes.append(self.helper.make_node(operator, list(inputs), names, name=name, **attributes))
        return name

    def give(self, name: str, tensor: str, shape: list[Any]) -> None:
        """Add an output of float32."""
        self.nodes.append(self.helper.make_node("Identity", [tensor], [name], name=name))
        self.outputs.append(self.helper.make_tensor_value_info(name, self.types.FLOAT, shape))

    def model(self) -> Any:
        """ModelProto from the inputs to the outputs."""
        graph = self.helper.make_graph(self.nodes, "unheard", self.inputs, self.outputs, self.constants)
        return self.helper.make_model(
            graph,
            opset_imports=[self.helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="unheard",
        )

    def bytes(self, logits: str, classes: int) -> bytes:
        """Bytes of the checked model whose output is ``logits``."""
        self.give("logits", logits, ["batch", classes])
        model = self.model()
        need("onnx.checker", "eval").check_model(model, full_check=True)
        data: bytes = model.SerializeToString(deterministic=True)
        return data


def graph_of(head: Any, kind: str, dims: int, entries: int = 1) -> bytes:
    """ONNX model of a fitted head for features of ``dims`` and, where they are pooled, so many ``entries``.

    ``kind`` is ``utterance``, ``frames`` or ``pooled``.

    Raises
    ------
    UsageError
        Where no graph is known for the head.
    """
    writers: dict[str, Callable[[Any, str, int, int], bytes]] = {
        "probe": _linear,
        "svm": _linear,
        "tcgru": _tcgru,
    }
    if head.name not in writers:
        raise UsageError(f"the head {head.name!r} has no graph in bundle/graph.py and cannot be exported")
    return writers[head.name](head, kind, dims, entries)


def _linear(head: Any, kind: str, dims: int, entries: int) -> bytes:
    """Statistics over frames, standardisation and one matrix; in float64, as the head computes."""
    state: State = head.state()
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
    return g.bytes(g.add("Cast", z, to=g.types.FLOAT), len(state["intercept_"]))


def _pooled(g: Graph, head: Any, dims: int, entries: int) -> str:
    """Columns of the entries that a linear head uses: their means, or means and deviations, beside each other."""
    taken = g.take("features", g.types.FLOAT, ["batch", entries, 2, dims])
    used = g.add("Gather", g.add("Cast", taken, to=g.types.DOUBLE), g.constant(head.entries_), axis=1)
    kept = [0, 1] if head.statistics == "mean+sd" else [0]
    x = g.add("Gather", used, g.constant(np.array(kept, dtype=np.int64)), axis=2)
    if head.entries == "average":
        x = g.add("ReduceMean", x, g.constant([1]), keepdims=0)
    return g.add("Flatten", x, axis=1)


def _statistics(g: Graph, dims: int, statistics: str) -> str:
    """Mean, or mean and standard deviation, over the valid frames."""
    frames, lengths = _frames(g, dims)
    valid = g.add("Unsqueeze", _valid(g, frames, lengths), g.constant([2]))
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


def _tcgru(head: Any, kind: str, dims: int, _: int) -> bytes:
    """The network of ``heads/tcgru_network.py``; dropout is nothing in use."""
    if kind != "frames":
        raise UsageError("the head 'tcgru' takes frames, not utterance features")
    state: State = head.state()
    w = {name.removeprefix("network."): value for name, value in state.items() if name.startswith("network.")}
    g = Graph()
    frames, lengths = _frames(g, dims)
    standardised = g.add("Div", g.add("Sub", frames, g.constant(w["mean"])), g.constant(w["scale"]))
    valid = g.add("Unsqueeze", _valid(g, frames, lengths), g.constant([2]))
    clean = g.add("Where", valid, standardised, g.constant(0.0, np.float32))
    kernel, bias = g.constant(w["convolution.weight"]), g.constant(w["convolution.bias"])
    channels = g.add("Conv", g.add("Transpose", clean, perm=[0, 2, 1]), kernel, bias, pads=[1, 1])
    sequence = g.add("Transpose", g.add("Relu", channels), perm=[2, 0, 1])
    steps = g.add("Cast", lengths, to=g.types.INT32)
    first = g.add("Squeeze", _gru(g, w, 0, sequence, steps, last=False), g.constant([1]))
    last = g.add("Squeeze", _gru(g, w, 1, first, steps, last=True), g.constant([0]))
    embedded = g.add("Tanh", _dense(g, w, "embedding", last))
    return g.bytes(_dense(g, w, "output", embedded), len(w["output.bias"]))


def _gru(g: Graph, w: State, layer: int, sequence: str, steps: str, *, last: bool) -> str:
    """One GRU layer on (T, B, dims): all steps (T, 1, B, hidden), or the last valid one (1, B, hidden)."""
    hidden = w[f"gru.weight_hh_l{layer}"].shape[1]

    def gates(name: str) -> NDArray[Any]:
        # torch orders reset, update, new; ONNX update, reset, new.
        reset, update, new = np.split(w[f"gru.{name}_l{layer}"], 3)
        return np.concatenate([update, reset, new])

    biases = np.concatenate([gates("bias_ih"), gates("bias_hh")])
    weights = [g.constant(value[None]) for value in (gates("weight_ih"), gates("weight_hh"), biases)]
    return g.add(
        "GRU", sequence, *weights, steps, outputs=2 if last else 1, hidden_size=hidden, linear_before_reset=1
    )


def _dense(g: Graph, w: State, name: str, x: str) -> str:
    return g.add("Gemm", x, g.constant(w[f"{name}.weight"]), g.constant(w[f"{name}.bias"]), transB=1)


def _frames(g: Graph, dims: int) -> tuple[str, str]:
    frames = g.take("frames", g.types.FLOAT, ["batch", "time", dims])
    return frames, g.take("lengths", g.types.INT64, ["batch"])


def _valid(g: Graph, frames: str, lengths: str) -> str:
    """True at the valid frames, (B, T)."""
    length = g.add("Gather", g.add("Shape", frames), g.constant(1, np.int64))
    places = g.add("Range", g.constant(0, np.int64), length, g.constant(1, np.int64))
    return g.add(
        "Less", g.add("Unsqueeze", places, g.constant([0])), g.add("Unsqueeze", lengths, g.constant([1]))
    )
