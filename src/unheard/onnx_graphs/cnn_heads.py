"""The graph of the convolutional networks over spectrograms and waveforms, ``heads/networks/cnn_network.py``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from unheard.inputs import Form
from unheard.onnx_graphs.graph import Graph
from unheard.onnx_graphs.head_inputs import Taken, valid_frames
from unheard.onnx_graphs.head_outputs import Columns
from unheard.onnx_graphs.network_heads import attentive, clean, frames_of, output, weights_of


def cnn(g: Graph, head: Any, inputs: Mapping[str, Taken], columns: Columns) -> str:
    """Return the outputs of ``CNNNetwork``; its norms are part of the convolutions' weights."""
    w, taken, network = weights_of(head), frames_of(head, inputs, Form.FRAMES), head.network_
    centred = g.add("Sub", taken.values, g.constant(w["mean"]))
    standardised = g.add("Div", centred, g.constant(w["scale"]))
    counts = taken.lengths
    if network.samples:
        standardised = g.add("Reshape", standardised, g.constant([0, -1, 1]))
        counts = g.add("Mul", counts, g.constant(network.dims, np.int64))
    kept = clean(g, valid_frames(g, standardised, counts), standardised)
    x = g.add("Unsqueeze", kept, g.constant([1]))  # (B, channels, time, frequency) from here on
    for k, layer in enumerate(network.layers_):
        gain = w[f"norms.{k}.weight"] / np.sqrt(w[f"norms.{k}.running_var"] + network.norms[k].eps)
        kernel = w[f"convolutions.{k}.weight"] * gain[:, None, None, None]
        shift = w[f"norms.{k}.bias"] - gain * w[f"norms.{k}.running_mean"]
        time, frequency = layer.kernel
        x = g.add(
            "Conv",
            x,
            g.constant(kernel.astype(np.float32)),
            g.constant(shift.astype(np.float32)),
            strides=list(layer.stride),
            pads=[(time - 1) // 2, (frequency - 1) // 2, time // 2, frequency // 2],
        )
        one, stride = g.constant(1, np.int64), g.constant(layer.stride[0], np.int64)
        counts = g.add("Add", g.add("Div", g.add("Sub", counts, one), stride), one)
        rows = g.add("Transpose", x, perm=[0, 2, 1, 3])
        flat = g.add("Reshape", rows, g.constant([0, 0, -1]))
        own = valid_frames(g, flat, counts)  # (B, time, 1)
        x = clean(g, g.add("Unsqueeze", own, g.constant([1])), g.add("Relu", x))
    flat = g.add("Reshape", g.add("Transpose", x, perm=[0, 2, 1, 3]), g.constant([0, 0, -1]))
    return output(g, w, attentive(g, w, flat, valid_frames(g, flat, counts)), columns)
