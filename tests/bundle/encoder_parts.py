"""Small encoders of every family and bundles on them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from bundle_parts import CLASSES, SCORES, sound
from onnx import TensorProto, helper, numpy_helper

from one_input import examples
from unheard import encoders, heads
from unheard.bundle.encoder_graph import encoded
from unheard.bundle.export import export
from unheard.testing import toy_encoder

#: Settings of an encoder from the folder that it may be written to.
FAMILIES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "onnx": lambda folder: {"name": "onnx", "model": str(write_onnx(folder)), "trim": 40},
    "hubert": lambda folder: _toy(folder, "hubert", trim=40),
    "wavlm": lambda folder: _toy(folder, "wavlm"),
    "wavlm-pre-norm": lambda folder: _toy(folder, "wavlm", pre_norm=True),
    "whisper": lambda folder: _toy(folder, "whisper"),
    "whisper-trimmed": lambda folder: {**_toy(folder, "whisper"), "mode": "trimmed", "rounding": "floor"},
    "onnx-32-khz": lambda folder: {
        "name": "onnx",
        "model": str(write_onnx(folder, 32_000)),
        "weights": "random",
    },
}
#: One whose last entry has features beside it, for heads on its frames alone.
BESIDE: dict[str, Callable[[Path], dict[str, Any]]] = {
    "hubert beside functionals every 20 ms": lambda folder: _toy(
        folder, "hubert", trim=40, beside={"name": "functionals", "hop": 0.02}
    ),
    "hubert beside functionals": lambda folder: _toy(folder, "hubert", trim=[40, 10], beside="functionals"),
}


@dataclass(frozen=True)
class MadeWithEncoder:
    folder: Path
    head: Any
    encoder: Any
    settings: dict[str, Any]
    entries: tuple[int, ...]

    def inputs(self, waves: list[np.ndarray]) -> list[np.ndarray]:
        """What the head takes of waveforms at 16 kHz, by the encoder itself."""
        return list(encoded(self.encoder, waves, str(self.head.form), self.entries))


def make(family: str, folder: Path, head: dict[str, Any], entries: tuple[int, ...] | None = None) -> Any:
    """Write an encoder, fit a head on what it gives for 24 sounds of three kinds, and export both."""
    settings = (FAMILIES | BESIDE)[family](folder / "weights")
    encoder = encoders.load(settings)
    kept = tuple(range(len(encoder.layers))) if entries is None else entries
    unfitted = heads.build(head)
    sounds = [sound(i) for i in range(24)]
    rows = examples(
        list(encoded(encoder, sounds, str(unfitted.form), kept)),
        np.arange(24) % 3,
        np.array([f"s{i % 4}" for i in range(24)]),
        3,
    )
    fitted = unfitted.fit(rows, rows)
    out = write(folder / "bundle", fitted, encoder, entries=entries)
    return MadeWithEncoder(out, fitted, encoder, encoder.settings, kept)


def write(out: Path, head: Any, encoder: Any, **changes: Any) -> Path:
    options = {
        "temperature": 1.5,
        "training_speakers": ["s1", "s0"],
        "corpus": "toy",
        "scores": SCORES,
        "recipe": {"recipe": "toy", "encoder": encoder.settings},
        "licences": {"weights": ["CC BY 4.0"]},
        "encoder": encoder,
        **changes,
    }
    return export(head, None, CLASSES, out, **options)


def write_onnx(folder: Path, rate: int = 16_000) -> Path:
    """A foreign graph over log-mel frames: ReLU (1, T, 6), its map (1, 4, T), and a part that nobody needs.

    At 32 kHz its front end is EfficientAT's, and it declares that its weights are random.
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
        "front": front,
        "weights": "random" if rate == 32_000 else "pretrained",
        "splice": 3,
        "input": {"tensor": "x", "axes": axes},
        "entries": [
            {"entry": "hidden", "tensor": "b", "axes": axes},
            {"entry": "turned", "tensor": "turned", "axes": ["one", "dims", "frames"]},
            {"entry": "out", "tensor": "out", "axes": axes},
        ],
        "licence": "Toy Licence 2.0",
        "attribution": "ToyNet, by Nobody",
    }
    (folder / "encoder.json").write_text(json.dumps(description))
    return folder


def _toy(folder: Path, family: str, *, pre_norm: bool = False, **settings: Any) -> dict[str, Any]:
    config = (
        {"do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True} if pre_norm else {}
    )
    return {"name": family, "model": str(toy_encoder(folder, family, **config)), **settings}
