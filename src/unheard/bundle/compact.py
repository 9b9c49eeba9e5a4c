"""A smaller copy of a bundle: its matrices stored in fewer bits, and widened again when it is opened.

``float16``: half the size. ``int8``: a quarter; each column or row of a matrix, whichever loses less, has a scale
of its own, the largest magnitude being 127. Only matrices, kernels and the like are touched (two axes, 1,024
numbers); biases, statistics and whatever lies beyond the range stay as they are. onnxruntime widens them once, at
opening, so nothing is computed otherwise and an answer takes as long as before.

Products of 8-bit integers with activations quantised as they come ("dynamic quantisation") were measured against
this and left out: on a small network they took four times as long and changed logits three times as much
(docs/bundles.md).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard.bundle import golden
from unheard.bundle.encoder import NAME
from unheard.bundle.manifest import read_verified
from unheard.bundle.runtime import Bundle, opened_spec
from unheard.bundle.schema import WEIGHTS, parse
from unheard.bundle.writing import write_bundle
from unheard.errors import UsageError, need, unknown

#: Numbers of a tensor from which on it is worth the trouble.
LEAST = 1024
_LARGEST_HALF = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class Compacted:
    """What was made.

    Attributes
    ----------
    folder
        The new bundle.
    before, after
        Bytes of all files.
    difference
        Largest change of a logit of the golden sounds, from the waveform on.
    """

    folder: Path
    before: int
    after: int
    difference: float


def compact(
    folder: str | os.PathLike[str], out: str | os.PathLike[str], weights: str, *, force: bool = False
) -> Compacted:
    """Write a copy of a bundle whose weights are stored as ``float16`` or ``int8``; ``force`` as in ``export``.

    Its golden vectors are its own, so what it loses is said here and by the caller, not at opening.

    Raises
    ------
    UsageError
        Another name of a number format, or a bundle that is compact already.
    BundleError
        The bundle is not as it was made.
    """
    if weights not in WEIGHTS[1:]:
        raise unknown("number format of weights", weights, WEIGHTS[1:])
    files = read_verified(Path(folder))
    whole = parse(files["bundle.json"])
    if whole.weights != "float32":
        raise UsageError(
            f"{folder} has {whole.weights} weights already; make it anew from the one in float32"
        )
    described = replace(whole, weights=weights)
    graphs = {name: packed(files[name], weights) for name in ("model.onnx", NAME) if name in files}
    waves = golden.unpack(files["golden.npz"]).waves
    bundle = Bundle(described, opened_spec(described, graphs.get(NAME)), graphs["model.onnx"])
    inputs = tuple(bundle.features(waves))
    stored = golden.Golden(waves, inputs, bundle.logits(inputs))
    original = Bundle(whole, opened_spec(whole, files.get(NAME)), files["model.onnx"])
    lost = float(np.abs(stored.logits - original.logits(original.features(waves))).max())
    made = write_bundle(Path(out), described, graphs, stored, force=force)
    return Compacted(made, _size(Path(folder)), _size(made), lost)


def packed(model: bytes, weights: str) -> bytes:
    """Return a graph whose large tensors are stored in fewer bits and widened by nodes in front of the others."""
    onnx = need("onnx", "eval")
    made = onnx.load_from_string(model)
    constants, nodes = [], []
    for tensor in made.graph.initializer:
        stored, widening = _packed(onnx, tensor, weights)
        constants += stored
        nodes += widening
    nodes += made.graph.node
    for field, values in ((made.graph.initializer, constants), (made.graph.node, list(nodes))):
        del field[:]
        field.extend(values)
    onnx.checker.check_model(made)
    data: bytes = made.SerializeToString(deterministic=True)
    return data


def _packed(onnx: Any, tensor: Any, weights: str) -> tuple[list[Any], list[Any]]:
    """Return the tensors that stand for one, and the nodes that make it of them."""
    helper, numpy = need("onnx.helper", "eval"), need("onnx.numpy_helper", "eval")
    if tensor.data_type not in (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE):
        return [tensor], []
    values, name = numpy.to_array(tensor), tensor.name
    if values.ndim < 2 or values.size < LEAST or np.abs(values).max() > _LARGEST_HALF:
        return [tensor], []
    short = f"{name}.{weights}"
    if weights == "float16":
        cast = helper.make_node("Cast", [short], [name], name=f"{name}.cast", to=tensor.data_type)
        return [numpy.from_array(values.astype(np.float16), short)], [cast]
    whole, scale = quantised(values)
    wide, scales = f"{name}.wide", f"{name}.scale"
    return [numpy.from_array(whole, short), numpy.from_array(scale, scales)], [
        helper.make_node("Cast", [short], [wide], name=f"{name}.cast", to=tensor.data_type),
        helper.make_node("Mul", [wide, scales], [name], name=f"{name}.mul"),
    ]


def quantised(values: NDArray[np.floating]) -> tuple[NDArray[np.int8], NDArray[np.floating]]:
    """Whole numbers in -127 … 127 and the scale of each slice, which times each other are about the values.

    Slices lie along the first or the last axis, whichever gives the smaller squared error.
    """
    choices = []
    for axis in (0, values.ndim - 1):
        inside = tuple(other for other in range(values.ndim) if other != axis)
        largest = np.abs(values).max(axis=inside, keepdims=True)
        scale = np.where(largest > 0, largest / 127, 1).astype(values.dtype)
        whole = np.round(values / scale).astype(np.int8)
        choices.append((float(np.square(whole * scale - values).sum()), axis, whole, scale))
    _, _, whole, scale = min(choices, key=lambda choice: choice[:2])
    return whole, scale


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())
