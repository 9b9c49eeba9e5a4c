"""A smaller copy of a bundle: its matrices stored in fewer bits, and widened again when it is opened.

``float16``: half the size. ``int8``: a quarter; each column or row of a matrix, whichever loses less, has a scale
of its own, the largest magnitude being 127. Only matrices, kernels and the like are touched (two axes, 1,024
numbers); biases, statistics and whatever lies beyond the range stay as they are. onnxruntime widens them once, at
opening, so nothing is computed otherwise and a prediction takes as long as before.

Products of 8-bit integers with activations quantised as they come ("dynamic quantisation") were measured against
this and left out: on a small network they took four times as long and changed logits three times as much
(docs/bundles.md).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from unheard.bundle import golden, schema1
from unheard.bundle.adaptation import unpack
from unheard.bundle.extractors import Extractors
from unheard.bundle.fields import load_json
from unheard.bundle.head import GraphHead
from unheard.bundle.manifest import OPTIONAL, read_verified
from unheard.bundle.runtime import Bundle, opened
from unheard.bundle.schema import WEIGHTS, is_schema1
from unheard.bundle.text_schema import TOKENIZER
from unheard.errors import UsageError, unknown
from unheard.exporting.writing import write_bundle
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
        Largest change of an output for the golden sounds, from the waveform on.
    """

    folder: Path
    before: int
    after: int
    difference: float


def compact(
    folder: str | os.PathLike[str], out: str | os.PathLike[str], weights: str, *, force: bool = False
) -> Compacted:
    """Write a copy of a bundle whose weights are stored as ``float16`` or ``int8``; ``force`` as in ``export``.

    Its golden outputs are its own, so what it loses is said here and by the caller, not at opening.

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
    whole, stored = opened(files)
    if whole.description.weights != "float32":
        raise UsageError(
            f"{folder} has {whole.description.weights} weights already; make it anew from the one in float32"
        )
    whole_graphs = {name: data for name, data in files.items() if name.endswith(".onnx")}
    if is_schema1(load_json(files["bundle.json"], "bundle.json")):
        whole_graphs = schema1.renamed_graphs(files)
        whole_graphs["model.onnx"] = schema1.upgraded(whole_graphs["model.onnx"], whole.description)
    described = replace(whole.description, weights=weights)
    graphs = {name: packed(data, weights) for name, data in whole_graphs.items()}
    tokenizers = {name: data for name, data in files.items() if name.endswith(TOKENIZER)}
    others = tokenizers | {name: files[name] for name in OPTIONAL if name in files}
    bundle = Bundle(
        described,
        Extractors(described, graphs | tokenizers),
        GraphHead(graphs["model.onnx"], described),
        unpack(graphs | others, described),
    )
    inputs = tuple(bundle.inputs(stored.waves, stored.turns))
    known = None if stored.known is None else bundle.outputs_knowing(inputs)
    own = golden.Golden(stored.waves, inputs, bundle.outputs(inputs), known, stored.turns)
    lost = float(np.abs(own.outputs - whole.outputs(whole.inputs(stored.waves, stored.turns))).max())
    made = write_bundle(Path(out), described, graphs | others, own, force=force)
    return Compacted(made, _size(Path(folder)), _size(made), lost)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())
