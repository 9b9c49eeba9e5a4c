"""The network of EfficientAT as an ONNX graph, written node by node from its weights.

Takes the front end's frames of one clip, ``unheard.frames`` (frames, 128) float32; gives ``unheard.NAME``
(frames, channels), frequency averaged, for the entries that are asked for. The computation is that of
``encoders/efficientat_network.py``, which it is compared with when a bundle is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from unheard.onnx_graphs.graph import PREFIX, Graph
from unheard.onnx_graphs.parts import convolution, linear


def efficientat_graph(network: Any, names: Sequence[str], entries: Sequence[int]) -> Any:
    """Return the ModelProto of an ``EfficientATNetwork`` up to the highest entry that is asked."""
    g = Graph()
    mels = g.take(PREFIX + "frames", g.types.FLOAT, ["frames", network.mel.bands])
    x = g.add("Unsqueeze", g.add("Transpose", mels, perm=[1, 0]), g.constant([0, 1]))
    x = _convolution(g, network.front, x)
    wanted = {0: x}
    for k, layer in enumerate(network.layers[: max(entries)], start=1):
        x = _residual(g, layer, x) if hasattr(layer, "parts") else _convolution(g, layer, x)
        wanted[k] = x
    for k in entries:
        rows = g.add("ReduceMean", wanted[k], g.constant([2]), keepdims=0)
        rows = g.add("Transpose", g.add("Squeeze", rows, g.constant([0])), perm=[1, 0])
        g.give(PREFIX + names[k], rows, [f"frames{k}", network.widths[k]])
    return g.model()


def _residual(g: Graph, layer: Any, x: str) -> str:
    y = x
    for name in layer.parts:
        part = getattr(layer, name)
        y = _squeeze(g, part, y) if name == "squeeze" else _convolution(g, part, y)
    return g.add("Add", x, y) if layer.adds else y


def _squeeze(g: Graph, part: Any, x: str) -> str:
    """Weigh the channels by what their means say."""
    means = g.add("ReduceMean", x, g.constant([2, 3]), keepdims=0)
    scale = g.add("Sigmoid", linear(g, part.fc2, g.add("Relu", linear(g, part.fc1, means))))
    return g.add("Mul", x, g.add("Unsqueeze", scale, g.constant([2, 3])))


def _convolution(g: Graph, conv: Any, x: str) -> str:
    pads = [*conv.padding, *conv.padding]
    y = convolution(g, conv, x, pads=pads, strides=list(conv.stride), group=conv.groups)
    if conv.hard_swish is None:
        return y
    return g.add("HardSwish" if conv.hard_swish else "Relu", y)
