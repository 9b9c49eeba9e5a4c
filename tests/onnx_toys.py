"""A small ONNX graph with its description, as an encoder of the family ``onnx``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def write_onnx(folder: Path, rate: int = 16_000) -> Path:
    """A foreign graph over log-mel frames: ReLU (1, T, 6), its map (1, 4, T), and a part that nobody needs.

    At 32 kHz its frontend is EfficientAT's, and it declares that its weights are random.
    """
    rng = np.random.default_rng(5)
    front: dict[str, Any] = {"name": "logmel", "bands": 10, "window": "hamming"}
    dims = 3 * 10
    if rate == 32_000:
        front, dims = {"name": "efficientat"}, 3 * 128
    weights = {"W": (dims, 6), "V": (6, 4), "unused_above": (4, 50)}
    nodes = [
        helper.make_node("MatMul", ["x", "W"], ["a"], doc_string="/home/mallory/model.py"),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("MatMul", ["b", "V"], ["c"]),
        helper.make_node("Tanh", ["c"], ["d"]),
        helper.make_node("Transpose", ["d"], ["turned"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["c", "unused_above"], ["e"]),
        helper.make_node("Softmax", ["e"], ["out"], axis=2),
    ]
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, "T", dims])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, "T", 50])],
        [
            numpy_helper.from_array(0.1 * rng.standard_normal(shape).astype(np.float32), name)
            for name, shape in weights.items()
        ],
        doc_string="/home/mallory",
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"path": "/home/mallory"})
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, folder / "toy.onnx")
    axes = ["one", "frames", "dims"]
    description = {
        "rate": rate,
        "frontend": front,
        "weights": "random" if rate == 32_000 else "pretrained",
        "splice": 3,
        "input": {"tensor": "x", "axes": axes},
        "layers": [
            {"name": "hidden", "tensor": "b", "axes": axes},
            {"name": "turned", "tensor": "turned", "axes": ["one", "dims", "frames"]},
            {"name": "out", "tensor": "out", "axes": axes},
        ],
        "licence": "Toy Licence 2.0",
        "attribution": "ToyNet, by Nobody",
    }
    (folder / "encoder.json").write_text(json.dumps(description))
    return folder
