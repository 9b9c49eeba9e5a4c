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

import numpy as np

from unheard.bundle import golden
from unheard.bundle.encoder import NAME
from unheard.bundle.manifest import read_verified
from unheard.bundle.runtime import Bundle, opened_spec
from unheard.bundle.schema import WEIGHTS, parse
from unheard.bundle.writing import write_bundle
from unheard.errors import UsageError, unknown
from unheard.onnx_graphs.packing import packed


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


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())
