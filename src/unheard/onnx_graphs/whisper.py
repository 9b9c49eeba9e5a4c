"""The network of Whisper's encoder as an ONNX graph, written node by node from its weights.

Takes the spectrogram of one window, ``unheard.frames`` (2 · frames, bands) float32; gives ``unheard.K``
(frames, dims) for the layers that are asked for. The computation is that of ``encoders/whisper_network.py``,
which it is compared with when a bundle is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from unheard.onnx_graphs.graph import PREFIX, Graph
from unheard.onnx_graphs.parts import activation, array, attention, convolution, linear, norm


def whisper_graph(network: Any, layers: Sequence[int]) -> Any:
    """Return the ModelProto of a ``WhisperNetwork`` up to the highest layer that is asked for."""
    config = network.config
    g = Graph()
    mels = g.take(PREFIX + "frames", g.types.FLOAT, ["frames", config.num_mel_bins])
    x = g.add("Unsqueeze", g.add("Transpose", mels, perm=[1, 0]), g.constant([0]))
    x = activation(g, "gelu", convolution(g, network.front.conv1, x, pads=[1, 1]))
    x = activation(g, "gelu", convolution(g, network.front.conv2, x, pads=[1, 1], strides=[2]))
    x = g.add("Transpose", g.add("Squeeze", x, g.constant([0])), perm=[1, 0])
    frames = g.add("Slice", g.add("Shape", x), g.constant([0]), g.constant([1]))
    positions = g.add("Slice", g.constant(array(network.positions)), g.constant([0]), frames, g.constant([0]))
    x = g.add("Add", x, positions)
    wanted = {0: x}
    for index, layer in enumerate(network.layers[: max(layers)], start=1):
        x = _layer(g, config, layer, x)
        last = index == config.encoder_layers and index in layers
        wanted[index] = norm(g, network.layer_norm, x) if last else x
    for k in layers:
        g.give(f"{PREFIX}{k}", wanted[k], ["states", config.d_model])
    return g.model()


def _layer(g: Graph, config: Any, layer: Any, x: str) -> str:
    query, key, value, out = (getattr(layer.self_attn, f"{name}_proj") for name in ("q", "k", "v", "out"))
    normed = norm(g, layer.self_attn_layer_norm, x)
    x = g.add("Add", x, attention(g, query, key, value, out, normed, config.encoder_attention_heads))
    inner = activation(g, "gelu", linear(g, layer.fc1, norm(g, layer.final_layer_norm, x)))
    return g.add("Add", x, linear(g, layer.fc2, inner))
