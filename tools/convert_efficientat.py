"""Writes EfficientAT as an ONNX encoder: the public state dict in, a folder out that the family ``onnx`` reads.

    python tools/convert_efficientat.py mn04_as_mAP_432.pt OUT
    python tools/convert_efficientat.py mn04_as_mAP_432.pt OUT --shuffle 0

EfficientAT (Schmid, Koutini and Widmer 2023) is a MobileNetV3-large (Howard et al. 2019, table 1) of any width,
trained to tag the sounds of AudioSet: a stem, 15 inverted residual blocks and a last convolution, with
squeeze-and-excitation over the mean of time and frequency. The classifier is left out. Batch norms are those of
inference, folded into the convolution before each. ``--shuffle`` permutes the values inside each tensor, which
makes the control of a network that has learned nothing; the description then says so, and scores are stamped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from unheard.encoders.description import BESIDE
from unheard.encoders.random_weights import generator
from unheard.errors import DataError, UnheardError, UsageError, first_five
from unheard.features.efficientat import EfficientATMel
from unheard.files import write_bytes, write_json
from unheard.onnx_graphs.graph import Graph

#: Weights by name: ``stem.weight``, ``blocks.3.filter.bias``, …
Weights = dict[str, NDArray[np.float32]]

MODEL = "efficientat.onnx"
EPS = 1e-3  # of the batch norms


@dataclass(frozen=True)
class Block:
    """One inverted residual block at width 1.

    Parameters
    ----------
    kernel
        Size of the convolution that filters each channel.
    expanded, out
        Channels inside and behind the block.
    squeeze
        Whether squeeze-and-excitation weighs the channels.
    hard_swish
        Whether the activation is hard swish, else ReLU.
    stride
        Step in time and frequency.
    """

    kernel: int
    expanded: int
    out: int
    squeeze: bool
    hard_swish: bool
    stride: int

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the stages in their order; the first block does not widen."""
        widen = () if self is BLOCKS[0] else ("widen",)
        return (*widen, "filter", *(("squeeze",) if self.squeeze else ()), "narrow")


BLOCKS = (
    Block(3, 16, 16, False, False, 1),
    Block(3, 64, 24, False, False, 2),
    Block(3, 72, 24, False, False, 1),
    Block(5, 72, 40, True, False, 2),
    Block(5, 120, 40, True, False, 1),
    Block(5, 120, 40, True, False, 1),
    Block(3, 240, 80, False, True, 2),
    Block(3, 200, 80, False, True, 1),
    Block(3, 184, 80, False, True, 1),
    Block(3, 184, 80, False, True, 1),
    Block(3, 480, 112, True, True, 1),
    Block(3, 672, 112, True, True, 1),
    Block(5, 672, 160, True, True, 2),
    Block(5, 960, 160, True, True, 1),
    Block(5, 960, 160, True, True, 1),
)
STEM_STRIDE, LAST = 2, 960  # channels of the last convolution at width 1
NAMES = ("stem", *(f"block{k}" for k in range(1, len(BLOCKS) + 1)), "last")


def main() -> None:
    """Read the arguments and convert."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("state", type=Path, help="state dict as published, .pt or .safetensors")
    parser.add_argument("out", type=Path, help="new folder")
    parser.add_argument("--shuffle", type=int, metavar="SEED", help="permute the values inside each tensor")
    given = parser.parse_args()
    try:
        convert(given.state, given.out, given.shuffle)
    except UnheardError as error:
        sys.exit(str(error))
    weights = "" if given.shuffle is None else ", weights: shuffled"
    print(f"{given.out}: use it as encoder {{name: onnx, model: {given.out}{weights}}}")


def convert(state: Path, out: Path, shuffle: int | None = None) -> None:
    """Write ``efficientat.onnx`` and ``encoder.json``.

    Parameters
    ----------
    state
        A state dict of EfficientAT.
    out
        Folder; made if it is not there.
    shuffle
        Seed by which the values inside each tensor are permuted; None leaves them as they were trained.

    Raises
    ------
    UsageError
        There is no such file.
    DataError
        A file that is no state dict of EfficientAT, or whose weights hold NaN.
    """
    tensors = read(state)
    weights = folded(tensors, state)
    if shuffle is not None:
        # After folding: the norms' variances would fit no other order of channels.
        weights = shuffled(weights, shuffle)
    out.mkdir(parents=True, exist_ok=True)
    write_bytes(out / MODEL, graph(weights))
    width = tensors["features.16.0.weight"].shape[0] / LAST
    write_json(out / BESIDE, description(state.stem, width, shuffle))


def read(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a state dict by name; nothing but tensors is unpickled."""
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    try:
        if path.suffix == ".safetensors":
            content = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # anything may come of a file that is no checkpoint
        text = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise DataError(f"{path} is no state dict that can be read safely: {text}") from error
    if not isinstance(content, dict) or "features.16.0.weight" not in content:
        raise DataError(f"{path} is no state dict of EfficientAT: it has no tensor features.16.0.weight")
    bad = [
        name for name, value in content.items() if value.is_floating_point() and not value.isfinite().all()
    ]
    if bad:
        raise DataError(f"{path}: weights hold NaN or infinite values: {first_five(bad)}; get the file again")
    return content


def folded(tensors: Mapping[str, torch.Tensor], path: Path) -> Weights:
    """Return the weights and biases of the convolutions, norms folded in, and of the squeezes.

    Raises
    ------
    DataError
        Tensors that are missing, or of other shapes than a MobileNetV3-large's.
    """
    found: dict[str, torch.Tensor] = {}
    missing: list[str] = []

    def tensor(name: str) -> torch.Tensor:
        if name not in tensors:
            missing.append(name)
        return tensors.get(name, torch.ones(1, 1, 1, 1)).float()

    def convolution(theirs: str, ours: str) -> None:
        norm = {
            part: tensor(f"{theirs}.1.{part}") for part in ("weight", "bias", "running_mean", "running_var")
        }
        scale = norm["weight"] / torch.sqrt(norm["running_var"] + EPS)
        found[f"{ours}.weight"] = tensor(f"{theirs}.0.weight") * scale[:, None, None, None]
        found[f"{ours}.bias"] = norm["bias"] - norm["running_mean"] * scale

    try:
        convolution("features.0", "stem")
        for k, block in enumerate(BLOCKS):
            for place, part in enumerate(block.parts):
                theirs, ours = f"features.{k + 1}.block.{place}", f"blocks.{k}.{part}"
                if part == "squeeze":
                    for name in ("fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"):
                        found[f"{ours}.{name}"] = tensor(f"{theirs}.conc_se_layers.0.{name}")
                else:
                    convolution(theirs, ours)
        convolution("features.16", "last")
    except RuntimeError as error:
        raise DataError(f"{path} does not fit a MobileNetV3-large: {error}") from error
    if missing:
        raise DataError(f"{path}: tensors are missing that an EfficientAT network has: {first_five(missing)}")
    _check_channels(found, path)
    return {name: value.numpy() for name, value in found.items()}


def shuffled(weights: Weights, seed: int) -> Weights:
    """Return the weights with the values of each tensor permuted, seeded for each tensor by its name."""
    made = {}
    for name, values in weights.items():
        # The stored results of shuffled networks were drawn under these names.
        drawn = name.replace("stem.", "front.").replace("blocks.", "layers.")
        drawn = drawn.replace("last.", f"layers.{len(BLOCKS)}.")
        order = torch.randperm(values.size, generator=generator(seed, drawn)).numpy()
        made[name] = values.reshape(-1)[order].reshape(values.shape)
    return made


def graph(weights: Weights) -> bytes:
    """Return the ONNX graph of ``mels`` (frames, 128), which gives each layer as (1, channels, bands, frames)."""
    g = Graph()
    mels = g.take("mels", g.types.FLOAT, ["frames", EfficientATMel.bands])
    x = g.add("Unsqueeze", g.add("Transpose", mels, perm=[1, 0]), g.constant([0, 1]))
    x = _activated(g, True, _convolution(g, weights, "stem", x, stride=STEM_STRIDE))
    layers = [x]
    for k, block in enumerate(BLOCKS):
        x = _block(g, weights, f"blocks.{k}", block, x)
        layers.append(x)
    layers.append(_activated(g, True, _convolution(g, weights, "last", x)))
    for name, layer in zip(NAMES, layers, strict=True):
        g.give(name, layer, [1, None, None, f"{name}_frames"])
    data: bytes = g.model().SerializeToString(deterministic=True)
    return data


def description(source: str, width: float, shuffle: int | None) -> dict[str, Any]:
    """Return what ``encoder.json`` says; a layer is averaged over frequency, which is our choice."""
    strides, stride = [], STEM_STRIDE
    for block in (None, *BLOCKS, None):
        stride *= block.stride if block else 1
        strides.append(stride)
    seed = "" if shuffle is None else f", the values of each tensor shuffled with the seed {shuffle}"
    return {
        "about": f"EfficientAT: a MobileNetV3-large of width {width:g}, trained to tag sounds (AudioSet){seed}",
        "rate": EfficientATMel.rate,
        "frontend": {"name": "efficientat"},
        "model": MODEL,
        "weights": "pretrained" if shuffle is None else "shuffled",
        "input": {"tensor": "mels", "axes": ["frames", "dims"]},
        "layers": [
            {"name": name, "tensor": name, "axes": ["one", "dims", "mean", "frames"], "stride": stride}
            for name, stride in zip(NAMES, strides, strict=True)
        ],
        "licence": "MIT (EfficientAT, Schmid and others)",
        "attribution": f"EfficientAT {source}, by Schmid, Koutini and Widmer",
    }


def _block(g: Graph, weights: Weights, name: str, block: Block, x: str) -> str:
    """Widen, filter each channel, weigh the channels, narrow; the input is added where it fits."""
    y = x
    for part in block.parts:
        at = f"{name}.{part}"
        if part == "squeeze":
            y = _squeeze(g, weights, at, y)
        elif part == "filter":
            channels = len(weights[f"{at}.weight"])
            y = _convolution(g, weights, at, y, stride=block.stride, groups=channels)
            y = _activated(g, block.hard_swish, y)
        else:
            y = _convolution(g, weights, at, y)
            y = _activated(g, block.hard_swish, y) if part == "widen" else y
    before = weights[f"{name}.{block.parts[0]}.weight"].shape[1 if block.parts[0] == "widen" else 0]
    after = len(weights[f"{name}.narrow.weight"])
    return g.add("Add", x, y) if block.stride == 1 and before == after else y


def _convolution(g: Graph, weights: Weights, name: str, x: str, *, stride: int = 1, groups: int = 1) -> str:
    weight = weights[f"{name}.weight"]
    pads = [weight.shape[-1] // 2] * 4
    values = (g.constant(weight), g.constant(weights[f"{name}.bias"]))
    return g.add("Conv", x, *values, pads=pads, strides=[stride, stride], group=groups)


def _activated(g: Graph, hard_swish: bool, x: str) -> str:
    return g.add("HardSwish" if hard_swish else "Relu", x)


def _squeeze(g: Graph, weights: Weights, name: str, x: str) -> str:
    """Weigh the channels by a factor for each out of the means of all (Hu et al. 2018)."""

    def linear(part: str, rows: str) -> str:
        values = (weights[f"{name}.{part}.{kind}"] for kind in ("weight", "bias"))
        return g.add("Gemm", rows, *(g.constant(value) for value in values), transB=1)

    means = g.add("ReduceMean", x, g.constant([2, 3]), keepdims=0)
    scale = g.add("Sigmoid", linear("fc2", g.add("Relu", linear("fc1", means))))
    return g.add("Mul", x, g.add("Unsqueeze", scale, g.constant([2, 3])))


def _check_channels(weights: Mapping[str, torch.Tensor], path: Path) -> None:
    """Refuse weights whose kernels or channels do not fit one another."""
    bad = []
    channels = len(weights["stem.weight"])

    def expect(name: str, *shape: int) -> None:
        if tuple(weights[name].shape) != shape:
            bad.append(f"{name} {tuple(weights[name].shape)} where {shape} is expected")

    expect("stem.weight", channels, 1, 3, 3)
    for k, block in enumerate(BLOCKS):
        name = f"blocks.{k}"
        wide, after = len(weights[f"{name}.filter.weight"]), len(weights[f"{name}.narrow.weight"])
        if "widen" in block.parts:
            expect(f"{name}.widen.weight", wide, channels, 1, 1)
        expect(f"{name}.filter.weight", wide, 1, block.kernel, block.kernel)
        if block.squeeze:
            few = len(weights[f"{name}.squeeze.fc1.weight"])
            expect(f"{name}.squeeze.fc1.weight", few, wide)
            expect(f"{name}.squeeze.fc2.weight", wide, few)
        expect(f"{name}.narrow.weight", after, wide, 1, 1)
        channels = after
    expect("last.weight", len(weights["last.weight"]), channels, 1, 1)
    if bad:
        raise DataError(f"{path} does not fit a MobileNetV3-large: {first_five(bad)}")


if __name__ == "__main__":
    main()
