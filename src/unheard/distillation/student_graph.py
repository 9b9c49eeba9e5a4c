"""Students as encoders: an ONNX graph and its description, in a folder that the family ``onnx`` reads.

Layers are the imitated layers by name, then ``all``, these side by side. Of several students together: the
``all`` of each, their ``mean``, and ``all`` of all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unheard.audio.resample import RATE
from unheard.distillation.student import Student
from unheard.encoders.description import BESIDE, described
from unheard.errors import DataError, UsageError
from unheard.files import file_inside, write_bytes, write_json
from unheard.formats import json_text
from unheard.onnx_graphs.graph import Graph
from unheard.onnx_graphs.model_files import ModelFile

GRAPH, CARD = "student.onnx", "card.json"


def write(
    student: Student, folder: Path, names: Sequence[str], frontend: Mapping[str, Any], card: Mapping[str, Any]
) -> None:
    """Write a student as an encoder.

    Parameters
    ----------
    student : trained student.
    folder : folder of ``student.onnx``, ``encoder.json`` and ``card.json``; it is made where it is missing.
    names : names of the imitated layers.
    frontend : complete settings of the frontend that makes its frames.
    card : what the student learned from; its ``about``, ``licence`` and ``attribution`` enter the description.
    """
    graph = Graph()
    layers = _student(graph, _frames(graph, student.shape.bands), student)
    named = dict(zip(names, layers, strict=True))
    _write(
        folder,
        graph,
        {**named, "all": graph.add("Concat", *layers, axis=1)},
        student.shape.stride,
        frontend,
        card,
    )


def joined(folders: Sequence[Path], out: Path) -> None:
    """Join students with the same frontend and the same layers into one encoder.

    Its layers are ``student0`` … (the ``all`` of each student), their ``mean``, and ``all`` (frames, students ·
    dims).

    Raises
    ------
    UsageError
        There are fewer than two students, or they do not fit together.
    DataError
        A folder holds no student.
    """
    if len(folders) < 2:
        raise UsageError(f"at least two students can be joined, found {len(folders)}")
    first: Any = None
    models = []
    cards = []
    for folder in folders:
        _, content = described("", folder)
        try:
            model = ModelFile(file_inside(folder, GRAPH)).load()
            cards.append(json_text.read_object(file_inside(folder, CARD)))
        except DataError as error:
            raise DataError(f"{folder} holds no student ({GRAPH}, {CARD}): {error}") from error
        strides = {layer["stride"] for layer in content["layers"]}
        kind = content["frontend"], strides, [layer["name"] for layer in content["layers"]]
        if first is not None and kind != first:
            raise UsageError(f"{folder} has another frontend or other layers than {folders[0]}")
        first = kind
        models.append(model)
    frontend, (stride,), _ = first
    graph = Graph()
    frames = _frames(graph, models[0].graph.input[0].type.tensor_type.shape.dim[1].dim_value)
    whole = [
        graph.include(model, f"student{number}_", {"frames": frames})[-1]
        for number, model in enumerate(models)
    ]
    layers = {f"student{number}": name for number, name in enumerate(whole)}
    share = graph.constant(1 / len(whole), np.float32)
    layers["mean"] = graph.add("Mul", graph.add("Sum", *whole), share)
    layers["all"] = graph.add("Concat", *whole, axis=1)
    card = {
        "about": f"{len(cards)} students together: {cards[0]['about']}",
        "licence": "; ".join(sorted({part for card in cards for part in card["licence"].split("; ")})),
        "attribution": "; ".join(sorted({card["attribution"] for card in cards})),
        "students": cards,
    }
    _write(out, graph, layers, stride, frontend, card)


def _frames(graph: Graph, bands: int) -> str:
    return graph.take("frames", graph.types.FLOAT, ["time", bands])


def _student(g: Graph, frames: str, student: Student) -> list[str]:
    """Return the imitated layers (places, dims) of frames (frames, bands)."""
    w = {key: value.cpu().numpy() for key, value in student.state_dict().items()}
    shape = student.shape

    def dense(name: str, x: str) -> str:
        parts = [w[f"{name}.{part}"] for part in ("weight", "bias") if f"{name}.{part}" in w]
        return g.add("Gemm", x, *(g.constant(part, np.float32) for part in parts), transB=1)

    batch = g.constant([0])
    # What standardises a frame is part of the first map, which is a convolution over the frames.
    mean, scale = (np.tile(w[name].astype(float), shape.splice) for name in ("mean", "scale"))
    weight = w["squeeze.weight"] / scale
    bias = g.constant(w["squeeze.bias"] - weight @ mean, np.float32)
    kernel = g.constant(weight.reshape(-1, shape.splice, shape.bands).transpose(0, 2, 1), np.float32)
    before, behind = shape.around
    padded = g.add("Pad", frames, g.constant([before, 0, behind, 0]), mode="edge")
    sequence = g.add("Unsqueeze", g.add("Transpose", padded, perm=[1, 0]), batch)
    sequence = g.add("Conv", sequence, kernel, bias, strides=[shape.stride])
    x = g.add("Transpose", g.add("Squeeze", sequence, batch), perm=[1, 0])
    x = g.add("Relu", dense("widen", x))
    layers = []
    for k in range(len(shape.outputs)):
        name = f"blocks.{k}"
        low = dense(f"{name}.down", x)
        sequence = g.add("Unsqueeze", g.add("Transpose", low, perm=[1, 0]), batch)
        taps = w[f"{name}.memory.weight"].copy()
        taps[:, 0, shape.past] += 1  # the frame itself
        pads = [shape.past, shape.future]
        memory = g.add("Conv", sequence, g.constant(taps), group=len(taps), pads=pads)
        low = g.add("Transpose", g.add("Squeeze", memory, batch), perm=[1, 0])
        x = g.add("Relu", dense(f"{name}.up", low))
        layers.append(g.add("Relu", dense(f"outputs.{k}", x)))
    return layers


def _write(
    folder: Path,
    graph: Graph,
    layers: Mapping[str, str],
    stride: int,
    frontend: Mapping[str, Any],
    card: Mapping[str, Any],
) -> None:
    for name, tensor in layers.items():
        graph.give(name, tensor, ["time", None])
    rhythm = {"axes": ["frames", "dims"], "stride": stride, "window": stride}
    content = {
        "about": card["about"],
        "rate": RATE,
        "frontend": dict(frontend),
        "model": GRAPH,
        "input": {"tensor": "frames", "axes": ["frames", "dims"]},
        "layers": [{"name": name, "tensor": name, **rhythm} for name in layers],
        # Of fewer samples there would not be a single place.
        "min_samples": round(RATE * (frontend["frame"] + (stride - 1) * frontend["hop"])),
        "licence": card["licence"],
        "attribution": card["attribution"],
        "trained_on": _trained_on([card, *card.get("students", ())]),
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / GRAPH, graph.bytes())
    write_json(folder / BESIDE, content)
    write_json(folder / CARD, dict(card))


def _trained_on(cards: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the corpora that any of some students learned from, and whose voices."""
    speakers: dict[str, set[str]] = {}
    for corpus in (corpus for card in cards for corpus in card.get("corpora", ())):
        speakers.setdefault(corpus["corpus"], set()).update(corpus["speakers"])
    return {corpus: sorted(found) for corpus, found in sorted(speakers.items())}
