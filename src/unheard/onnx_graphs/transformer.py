"""The network of wav2vec 2.0, HuBERT and WavLM as an ONNX graph, written node by node from its weights.

Takes one clip, ``unheard.samples`` (samples,) float32, standardised where the network wants that; gives
``unheard.K`` (frames, dims) for the layers that are asked for. Nothing above the highest of them is written. The
computation is that of ``encoders/transformer/network.py``, which it is compared with when a bundle is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from unheard.onnx_graphs.graph import PREFIX, Graph
from unheard.onnx_graphs.parts import activation, array, attention, convolution, linear, norm


def transformer_graph(network: Any, layers: Sequence[int]) -> Any:
    """Return the ModelProto of a network of ``encoders.transformer`` up to the highest layer that is asked for."""
    config = network.config
    g = Graph()
    samples = g.take(PREFIX + "samples", g.types.FLOAT, ["samples"])
    x = _projection(g, network, _front(g, network, samples))
    x = g.add("Add", x, _position(g, network, x))
    if not config.do_stable_layer_norm:
        x = norm(g, network.norm, x)
    wanted = {0: x}
    bias = _distances(g, network, x) if config.model_type == "wavlm" and max(layers) > 0 else None
    for index, layer in enumerate(network.layers[: max(layers)], start=1):
        x = _layer(g, config, layer, x, bias)
        last = index == config.num_hidden_layers and config.do_stable_layer_norm
        wanted[index] = norm(g, network.norm, x) if last and index in layers else x
    for k in layers:
        g.give(f"{PREFIX}{k}", wanted[k], ["frames", config.hidden_size])
    return g.model()


def _front(g: Graph, network: Any, samples: str) -> str:
    """Add the strided convolutions: (samples,) to (frames, channels)."""
    config = network.config
    x = g.add("Unsqueeze", samples, g.constant([0, 1]))
    for step in network.front:
        x = convolution(g, step.conv, x, strides=list(step.conv.stride))
        if step.layer_norm is not None and config.feat_extract_norm == "group":
            # A group a channel: what it is normalised by is taken over time.
            scale, shift = array(step.layer_norm.weight), array(step.layer_norm.bias)
            parts = (g.constant(scale), g.constant(shift))
            x = g.add("InstanceNormalization", x, *parts, epsilon=step.layer_norm.eps)
        elif step.layer_norm is not None:
            turned = norm(g, step.layer_norm, g.add("Transpose", x, perm=[0, 2, 1]))
            x = g.add("Transpose", turned, perm=[0, 2, 1])
        x = activation(g, config.feat_extract_activation, x)
    return g.add("Transpose", g.add("Squeeze", x, g.constant([0])), perm=[1, 0])


def _projection(g: Graph, network: Any, x: str) -> str:
    part = network.projection
    return linear(g, part.projection, norm(g, part.layer_norm, x) if hasattr(part, "layer_norm") else x)


def _position(g: Graph, network: Any, x: str) -> str:
    """Add a convolution over time with zeros outside the clip; (frames, dims)."""
    conv = network.position.conv
    (kernel,) = conv.kernel_size
    channels = g.add("Unsqueeze", g.add("Transpose", x, perm=[1, 0]), g.constant([0]))
    # An even kernel gives one frame too many, at the end.
    pads = [kernel // 2, kernel // 2 - (kernel % 2 == 0)]
    y = convolution(g, conv, channels, pads=pads, group=conv.groups)
    y = activation(g, network.config.feat_extract_activation, y)
    return g.add("Transpose", g.add("Squeeze", y, g.constant([0])), perm=[1, 0])


def _layer(g: Graph, config: Any, layer: Any, x: str, bias: str | None) -> str:
    def feed_forward(x: str) -> str:
        inner = activation(g, config.hidden_act, linear(g, layer.feed_forward.intermediate_dense, x))
        return linear(g, layer.feed_forward.output_dense, inner)

    if config.do_stable_layer_norm:
        x = g.add("Add", x, _attention(g, layer.attention, norm(g, layer.layer_norm, x), bias))
        return g.add("Add", x, feed_forward(norm(g, layer.final_layer_norm, x)))
    x = norm(g, layer.layer_norm, g.add("Add", x, _attention(g, layer.attention, x, bias)))
    return norm(g, layer.final_layer_norm, g.add("Add", x, feed_forward(x)))


def _attention(g: Graph, part: Any, x: str, bias: str | None) -> str:
    """Add attention of (frames, dims), with WavLM's gated bias (heads, frames, frames) where there is one."""
    gated = None
    if bias is not None:
        shape = g.constant([-1, part.heads, part.q_proj.in_features // part.heads])
        gated = g.add("Mul", _gate(g, part, g.add("Reshape", x, shape)), bias)
    return attention(g, part.q_proj, part.k_proj, part.v_proj, part.out_proj, x, part.heads, gated)


def _gate(g: Graph, part: Any, x: str) -> str:
    """Return by how much each frame and head takes the bias: (heads, frames, 1) of (frames, heads, dims)."""
    narrow = part.gru_rel_pos_linear
    made = g.add("MatMul", x, g.constant(array(narrow.weight).T))
    made = g.add("Reshape", g.add("Add", made, g.constant(array(narrow.bias))), g.constant([0, 0, 2, 4]))
    both = g.add("Sigmoid", g.add("ReduceSum", made, g.constant([3]), keepdims=0))
    a, b = (g.add("Gather", both, g.constant(half), axis=2) for half in (0, 1))
    factor = g.constant(array(part.gru_rel_pos_const).reshape(1, -1))
    inner = g.add("Sub", g.add("Mul", b, factor), g.constant(1, np.float32))
    gate = g.add("Add", g.add("Mul", a, inner), g.constant(2, np.float32))
    return g.add("Unsqueeze", g.add("Transpose", gate, perm=[1, 0]), g.constant([2]))


def _distances(g: Graph, network: Any, x: str) -> str:
    """Add WavLM's bias before gating, (heads, frames, frames), looked up by the distance of key and query."""
    furthest = network.config.max_bucket_distance
    square = array(network.position_bias(furthest + 1))
    # All greater distances have the bias of the greatest: (−furthest … furthest, heads).
    table = np.concatenate([square[:, -1, :-1], square[:, 0]], axis=1).T
    frames = g.add("Gather", g.add("Shape", x), g.constant(0))
    places = g.add("Range", g.constant(0), frames, g.constant(1))
    columns, rows = (g.add("Unsqueeze", places, g.constant([axis])) for axis in (0, 1))
    apart = g.add("Clip", g.add("Sub", columns, rows), g.constant(-furthest), g.constant(furthest))
    found = g.add("Gather", g.constant(table), g.add("Add", apart, g.constant(furthest)), axis=0)
    return g.add("Transpose", found, perm=[2, 0, 1])
