"""The network of wav2vec (2019) as an ONNX graph, written node by node from its weights.

Takes one clip, ``unheard.samples`` (samples,) float32; gives ``unheard.K`` (frames, dims) for the layers that are
asked for. The computation is that of ``encoders/wav2vec_network.py``, which it is compared with when a bundle is
made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from unheard.onnx_graphs.graph import PREFIX, Graph
from unheard.onnx_graphs.parts import activation, array, convolution


def wav2vec_graph(network: Any, layers: Sequence[int]) -> Any:
    """Return the ModelProto of a ``Wav2VecNetwork`` up to the highest layer that is asked for."""
    config = network.config
    g = Graph()
    samples = g.take(PREFIX + "samples", g.types.FLOAT, ["samples"])
    x = g.add("Unsqueeze", samples, g.constant([0, 1]))  # (1, channels, frames) from here on
    for block in network.features:
        x = _block(g, config, block, x)
    if config.log_compression:
        x = g.add("Log", g.add("Add", g.add("Abs", x), g.constant(1, np.float32)))
    wanted = {0: x}
    for k, block in enumerate(list(network.context)[: max(layers)]):
        pads = g.constant([0, 0, block.conv.kernel_size[0] - 1, 0, 0, 0])
        padded = g.add("Pad", x, pads, mode="constant" if config.zero_pad else "edge")
        made = _block(g, config, block, padded)
        if config.skip:
            kept = convolution(g, network.residual[str(k)], x) if str(k) in network.residual else x
            scale = g.constant(math.sqrt(config.residual_scale), np.float32)
            made = g.add("Mul", g.add("Add", made, kept), scale)
        wanted[k + 1] = x = made
    for k in layers:
        frames = g.add("Transpose", g.add("Squeeze", wanted[k], g.constant([0])), perm=[1, 0])
        g.give(f"{PREFIX}{k}", frames, ["frames", network.dims[k]])
    return g.model()


def _block(g: Graph, config: Any, block: Any, x: str) -> str:
    """Convolve, normalise over channels and time, and apply the activation."""
    made = convolution(g, block.conv, x, strides=list(block.conv.stride))
    axes = g.constant([1, 2])
    centred = g.add("Sub", made, g.add("ReduceMean", made, axes, keepdims=1))
    variance = g.add("ReduceMean", g.add("Mul", centred, centred), axes, keepdims=1)
    deviation = g.add("Sqrt", g.add("Add", variance, g.constant(block.norm.eps, np.float32)))
    normed = g.add("Div", centred, deviation)
    if block.norm.weight is not None:
        normed = g.add("Mul", normed, g.constant(array(block.norm.weight)[:, None]))
        normed = g.add("Add", normed, g.constant(array(block.norm.bias)[:, None]))
    return activation(g, config.activation, normed)
