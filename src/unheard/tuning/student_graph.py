"""Students as encoders: an ONNX graph and its description, in a folder that the family ``onnx`` reads.

Entries are the imitated layers by name, then ``all``, these side by side. Of several students together: the
``all`` of each, their ``mean``, and ``all`` of all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard.audio.resample import RATE
from unheard.encoders.description import BESIDE, described
from unheard.errors import DataError, UsageError, need
from unheard.files import write_bytes, write_json
from unheard.tuning.student import Student

GRAPH, CARD = "student.onnx", "card.json"
OPSET, IR_VERSION = 18, 8


def write(
    student: Student, folder: Path, names: Sequence[str], front: Mapping[str, Any], card: Mapping[str, Any]
) -> None:
    """Write a student as an encoder.

    Parameters
    ----------
    student : trained.
    folder : for ``student.onnx``, ``encoder.json`` and ``card.json``; made where it is not there.
    names : of the imitated layers.
    front : settings in full of the front end that makes its frames.
    card : what it learned from; ``about``, ``licence`` and ``attribution`` of it enter the description.
    """
    graph = _Graph()
    layers = _student(graph, student)
    entries = [graph.give(name, layer) for name, layer in zip(names, layers, strict=True)]
    entries.append(graph.give("all", graph.add("Concat", *layers, axis=1)))
    _write(folder, graph.model(student.shape.bands), entries, student.shape.stride, front, card)


def joined(folders: Sequence[Path], out: Path) -> None:
    """Put students of one front end and of the same layers together into one encoder.

    Its entries are ``student0`` … (the ``all`` of each), their ``mean``, and ``all`` (frames, students · dims).

    Raises
    ------
    UsageError
        Fewer than two students, or some that do not fit together.
    DataError
        A folder that holds no student.
    """
    if len(folders) < 2:
        raise UsageError(f"at least two students can be joined, found {len(folders)}")
    onnx = need("onnx", "eval")
    first, whole, graph = None, [], _Graph()
    cards = []
    for number, folder in enumerate(folders):
        _, content = described("", folder)
        try:
            model = onnx.load(folder / GRAPH)
            cards.append(json.loads((folder / CARD).read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise DataError(f"{folder} holds no student ({GRAPH}, {CARD}): {error}") from error
        strides = {entry["stride"] for entry in content["entries"]}
        kind = content["front"], strides, [entry["entry"] for entry in content["entries"]]
        if first is not None and kind != first:
            raise UsageError(f"{folder} has another front end or other layers than {folders[0]}")
        first = kind
        whole.append(graph.include(model, f"student{number}_"))
    entries = [graph.give(f"student{number}", name) for number, name in enumerate(whole)]
    total = graph.add("Sum", *whole)
    mean = graph.add("Mul", total, graph.constant("share", np.array(1 / len(whole), np.float32)))
    entries += [graph.give("mean", mean), graph.give("all", graph.add("Concat", *whole, axis=1))]
    assert first is not None
    front, (stride,), _ = first
    bands = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    card = {
        "about": f"{len(cards)} students beside each other: {cards[0]['about']}",
        "licence": "; ".join(sorted({part for card in cards for part in card["licence"].split("; ")})),
        "attribution": "; ".join(sorted({card["attribution"] for card in cards})),
        "students": cards,
    }
    _write(out, graph.model(bands), entries, stride, front, card)


class _Graph:
    """Collects nodes, constants and outputs; methods return the name of their result."""

    def __init__(self) -> None:
        self.onnx = need("onnx", "eval")
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.outputs: list[Any] = []

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        name = f"{operator.lower()}{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def constant(self, name: str, value: NDArray[Any]) -> str:
        self.constants.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def give(self, name: str, tensor: str) -> str:
        """Add an output (frames, dims)."""
        self.nodes.append(self.onnx.helper.make_node("Identity", [tensor], [name]))
        float32 = self.onnx.TensorProto.FLOAT
        self.outputs.append(self.onnx.helper.make_tensor_value_info(name, float32, ["time", None]))
        return name

    def include(self, model: Any, prefix: str) -> str:
        """Take over a student's graph on the same input, and return the name of its ``all``."""
        for constant in model.graph.initializer:
            copy = self.onnx.TensorProto()
            copy.CopyFrom(constant)
            copy.name = prefix + copy.name
            self.constants.append(copy)
        for node in model.graph.node:
            copy = self.onnx.NodeProto()
            copy.CopyFrom(node)
            copy.input[:] = [name if name == "frames" else prefix + name for name in node.input]
            copy.output[:] = [prefix + name for name in node.output]
            self.nodes.append(copy)
        return f"{prefix}all"

    def model(self, dims: int) -> bytes:
        """Bytes of the checked graph whose input is ``frames`` (frames, dims)."""
        helper = self.onnx.helper
        frames = helper.make_tensor_value_info("frames", self.onnx.TensorProto.FLOAT, ["time", dims])
        graph = helper.make_graph(self.nodes, "student", [frames], self.outputs, self.constants)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="unheard",
        )
        self.onnx.checker.check_model(model, full_check=True)
        data: bytes = model.SerializeToString(deterministic=True)
        return data


def _student(g: _Graph, student: Student) -> list[str]:
    """Names of the imitated layers (places, dims) of frames (frames, bands)."""
    w = {key: value.cpu().numpy() for key, value in student.state_dict().items()}
    shape = student.shape

    def dense(name: str, x: str, weight: NDArray[Any], bias: NDArray[Any] | None = None) -> str:
        inputs = [x, g.constant(f"{name}.weight", weight.astype(np.float32))]
        if bias is not None:
            inputs.append(g.constant(f"{name}.bias", bias.astype(np.float32)))
        return g.add("Gemm", *inputs, transB=1)

    batch = g.constant("batch", np.array([0]))
    # What standardises a frame is part of the first map, which is a convolution over the frames.
    mean, scale = (np.tile(w[name].astype(float), shape.splice) for name in ("mean", "scale"))
    weight = w["squeeze.weight"] / scale
    bias = g.constant("squeeze.bias", (w["squeeze.bias"] - weight @ mean).astype(np.float32))
    kernel = weight.reshape(-1, shape.splice, shape.bands).transpose(0, 2, 1).astype(np.float32)
    before, behind = shape.around
    ends = g.constant("ends", np.array([before, 0, behind, 0]))
    sequence = g.add(
        "Unsqueeze", g.add("Transpose", g.add("Pad", "frames", ends, mode="edge"), perm=[1, 0]), batch
    )
    sequence = g.add("Conv", sequence, g.constant("squeeze.weight", kernel), bias, strides=[shape.stride])
    x = g.add("Transpose", g.add("Squeeze", sequence, batch), perm=[1, 0])
    x = g.add("Relu", dense("widen", x, w["widen.weight"], w["widen.bias"]))
    layers = []
    for k in range(len(shape.outputs)):
        name = f"blocks.{k}"
        low = dense(f"{name}.down", x, w[f"{name}.down.weight"])
        sequence = g.add("Unsqueeze", g.add("Transpose", low, perm=[1, 0]), batch)
        kernel = w[f"{name}.memory.weight"].copy()
        kernel[:, 0, shape.past] += 1  # the frame itself
        taps = g.constant(f"{name}.memory", kernel)
        memory = g.add("Conv", sequence, taps, group=len(kernel), pads=[shape.past, shape.future])
        low = g.add("Transpose", g.add("Squeeze", memory, batch), perm=[1, 0])
        x = g.add("Relu", dense(f"{name}.up", low, w[f"{name}.up.weight"], w[f"{name}.up.bias"]))
        out = dense(f"outputs.{k}", x, w[f"outputs.{k}.weight"], w[f"outputs.{k}.bias"])
        layers.append(g.add("Relu", out))
    return layers


def _write(
    folder: Path,
    model: bytes,
    entries: Sequence[str],
    stride: int,
    front: Mapping[str, Any],
    card: Mapping[str, Any],
) -> None:
    rhythm = {"axes": ["frames", "dims"], "stride": stride, "window": stride}
    content = {
        "about": card["about"],
        "rate": RATE,
        "front": dict(front),
        "model": GRAPH,
        "input": {"tensor": "frames", "axes": ["frames", "dims"]},
        "entries": [{"entry": name, "tensor": name, **rhythm} for name in entries],
        # Of fewer samples there would not be a single place.
        "least": round(RATE * (front["frame"] + (stride - 1) * front["hop"])),
        "licence": card["licence"],
        "attribution": card["attribution"],
        "heard": _heard([card, *card.get("students", ())]),
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / GRAPH, model)
    write_json(folder / BESIDE, content)
    write_json(folder / CARD, dict(card))


def _heard(cards: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Corpora that any of some students learned from, and whose voices."""
    speakers: dict[str, set[str]] = {}
    for corpus in (corpus for card in cards for corpus in card.get("corpora", ())):
        speakers.setdefault(corpus["corpus"], set()).update(corpus["speakers"])
    return {corpus: sorted(found) for corpus, found in sorted(speakers.items())}
