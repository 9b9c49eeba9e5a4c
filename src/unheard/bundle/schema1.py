"""Bundles of schema 1, which had one input: read, and made into what the runtime of schema 2 runs.

Their head took ``features`` (B, dims) or (B, layers, 2, dims), or ``frames`` (B, T, dims) or (B, layers, T, dims)
with ``lengths``, and gave ``logits``. What computed these was either features or the encoder of ``encoder.onnx``,
``beside`` which features with one row a recording could stand behind the dims of every frame. 1.0 knew neither
encoders nor channels, 1.1 neither ``weights``, ``domain`` nor ``training.others``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard import features
from unheard.audio.resample import RATE
from unheard.bundle import golden
from unheard.bundle.encoder_schema import MAX_LAYERS, EncoderDescription, parse_encoder
from unheard.bundle.fields import bounded, mapping, number, refuse, text
from unheard.bundle.head import Inputs, answered, check_shapes, check_tensors, fed
from unheard.bundle.schema import (
    MAX_DIMS,
    Description,
    Input,
    check_input,
    parse_common,
    parse_features,
    parse_names,
)
from unheard.bundle.training_range import parse_training_range
from unheard.errors import BundleError, UsageError
from unheard.inputs import Form
from unheard.onnx_graphs.graph import Graph
from unheard.onnx_graphs.head_inputs import Shape, take
from unheard.onnx_graphs.model_files import loaded
from unheard.onnx_graphs.session import Session
from unheard.targets import Target

KINDS = {"utterance": Form.ROW, "frames": Form.FRAMES, "pooled": Form.POOLED, "layers": Form.LAYERS}
#: What the one input is called now, and the features that stood beside it.
INPUT, BESIDE = "voice", "functionals"
#: Fields of an encoder that had other names.
RENAMED = {"layers": "entries", "min_samples": "least", "frontend": "front"}


def parse(plain: Mapping[str, Any]) -> Description:
    """Read and check the object of ``bundle.json``, as a description of schema 2."""
    entry = mapping(plain, "input")
    kind, versions = entry.get("kind"), mapping(plain, "versions")
    if not isinstance(kind, str) or kind not in KINDS:
        refuse("input.kind", f"{kind!r:.100}", " or ".join(KINDS))
    dims = int(number(entry, "dims", 1, MAX_DIMS, whole=True, inside="input."))
    layers = int(number({"entries": 1, **entry}, "entries", 1, MAX_LAYERS, whole=True, inside="input."))
    version, beside_version = str(versions.get("features")), ""
    inputs: dict[str, Input] = {}
    if plain.get("encoder") is None:
        settings = parse_features(plain, "features")
        inputs[INPUT] = Input(settings, None, KINDS[kind], dims, layers, version)
    else:
        given = mapping(plain, "encoder")
        encoder = _encoder(given)
        if plain.get("features") is not None:
            refuse("features", "there beside an encoder", "null")
        if given.get("form") != kind:
            refuse("input.kind", f"{kind!r}", f"{given.get('form')!r:.60}, as the encoder gives")
        beside = given.get("beside")
        if beside is not None:
            version, _, beside_version = version.partition("+")
        width = dims if beside is None else max(encoder.widths)
        inputs[INPUT] = Input(None, encoder, KINDS[kind], width, layers, version)
        if beside is not None:
            inputs[BESIDE] = _beside(given, encoder, kind, dims - width, beside_version)
    check_input(inputs[INPUT], "input")
    rate = inputs[INPUT].rate
    number(plain, "sample_rate", rate, rate, whole=True)
    return Description(
        inputs=inputs,
        target=Target(parse_names(plain, "labels", "", 2)),
        training_range=parse_training_range(plain, "domain"),
        **parse_common(plain),
    )


def renamed_graphs(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the graphs of a bundle under the names that they have in schema 2."""
    names = {"model.onnx": "model.onnx", "encoder.onnx": f"{INPUT}.onnx"}
    strange = sorted(name for name in files if name.endswith(".onnx") and name not in names)
    if strange:
        raise BundleError(f"the graphs {strange} belong to no bundle of schema 1")
    return {new: files[old] for old, new in names.items() if old in files}


def unpack(data: bytes, description: Description) -> golden.Golden:
    """Read ``golden.npz`` (``wave_k``, ``features_k``, ``logits``)."""
    arrays = golden.read_arrays(data)
    count = sum(name.startswith("wave_") for name in arrays)
    try:
        waves = [arrays[f"wave_{k}"] for k in range(count)]
        inputs = [_split(description, arrays[f"features_{k}"]) for k in range(count)]
        return golden.checked(waves, inputs, arrays["logits"])
    except (KeyError, IndexError) as error:
        raise BundleError(f"golden.npz lacks an array: {error}") from error


class Head1:
    """Runs a graph of schema 1 on the inputs of schema 2.

    Parameters
    ----------
    model
        Bytes of the graph.
    description
        Description of its bundle, as :func:`parse` returns it.
    """

    def __init__(self, model: bytes, description: Description) -> None:
        self.description = d = description
        one = d.inputs[INPUT]
        behind = d.inputs[BESIDE].dims if BESIDE in d.inputs else 0
        #: The graph's own input: the frames with what stands behind their dims.
        self._taken = Input(one.features, one.encoder, one.form, one.dims + behind, one.layers, one.version)
        self._session = Session(model, "model.onnx")
        expected: dict[str, tuple[int | str, ...]] = {self._tensor: ("batch", *self._taken.shape)}
        if one.form.has_frames:
            expected["lengths"] = ("batch",)
        check_tensors(self._session, expected, "logits", d.target.width)

    @property
    def _tensor(self) -> str:
        return "frames" if self._taken.form.has_frames else "features"

    def outputs(self, clips: Sequence[Inputs]) -> NDArray[np.float64]:
        """Return class scores before softmax, (n, classes) for n clips, at least 1."""
        d = self.description
        for name, each in d.inputs.items():
            check_shapes(name, each, [clip[name] for clip in clips])
        feeds = fed(self._tensor, self._taken, [_joined(clip) for clip in clips])
        old = {"frames.lengths": "lengths"}
        feeds = {old.get(name, name): values for name, values in feeds.items()}
        return answered(self._session, "logits", feeds, len(clips), d.target.width)


def upgraded(model: bytes, description: Description) -> bytes:
    """Return a head's graph of schema 1 with the inputs and the output of schema 2; needs the onnx package."""
    g = Graph()
    taken = {name: take(g, name, Shape(e.form, e.dims, e.layers)) for name, e in description.inputs.items()}
    values, lengths = taken[INPUT].values, taken[INPUT].lengths
    if BESIDE in taken:
        row = g.add("Unsqueeze", taken[BESIDE].values, g.constant([1]))
        frames = g.add("Slice", g.add("Shape", values), g.constant([1]), g.constant([2]))
        shape = g.add("Concat", g.constant([1]), frames, g.constant([1]), axis=0)
        values = g.add("Concat", values, g.add("Expand", row, shape), axis=2)
    old = {"frames": values, "lengths": lengths} if lengths else {"features": values}
    (outputs,) = g.include(loaded(model), "head.", old)
    g.give("outputs", outputs, ["batch", description.target.width])
    return g.bytes()


def _encoder(plain: Mapping[str, Any]) -> EncoderDescription:
    return parse_encoder({**plain, **{new: plain.get(old) for new, old in RENAMED.items()}}, "encoder.")


def _beside(
    plain: Mapping[str, Any], encoder: EncoderDescription, kind: str, dims: int, version: str
) -> Input:
    """Return the features beside an encoder's frames, computed from what its trim leaves of a recording."""
    settings = bounded(mapping(plain, "beside", "encoder."), "encoder.beside.")
    text(settings, "name", "encoder.beside.")
    try:
        frames = getattr(features.build(settings), "frames_per_second", None)
    except UsageError as error:
        raise BundleError(f"bundle.json: encoder.beside: {error}") from error
    if kind != "frames" or encoder.rate != RATE or frames is not None or dims < 1:
        refuse("encoder.beside", f"{settings}", f"one row of a clip at {RATE} Hz behind the dims of frames")
    own = settings.get("trim")
    if own not in (None, encoder.trim) and encoder.trim is not None:
        refuse("encoder.beside.trim", f"{own}", "null or the encoder's: a recording is trimmed once")
    return Input({**settings, "trim": encoder.trim if own is None else own}, None, Form.ROW, dims, 1, version)


def _split(description: Description, values: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Return what the old graph took as the inputs of schema 2."""
    if BESIDE not in description.inputs:
        return {INPUT: values}
    width = description.inputs[INPUT].dims
    return {INPUT: values[..., :width], BESIDE: values[0, width:]}


def _joined(clip: Inputs) -> NDArray[np.float32]:
    """Return what the old graph takes: frames (n, dims), behind the dims of each the row of what is beside."""
    frames = clip[INPUT]
    if BESIDE not in clip:
        return frames
    row, dims = clip[BESIDE], frames.shape[1]
    both = np.empty((len(frames), dims + len(row)), dtype=np.float32)
    both[:, :dims], both[:, dims:] = frames, row
    return both
