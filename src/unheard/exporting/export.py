"""From a fitted head to a bundle: graphs, golden outputs and description, checked against head and extractors."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard.adaptation.draws import Known
from unheard.adaptation.profile import Population
from unheard.audio.quality import Ranges
from unheard.audio.resample import RATE, to_rate
from unheard.audio.trim import trim
from unheard.bundle import text_encoder
from unheard.bundle.adaptation import FILE, MAX_VALUES, unpack
from unheard.bundle.extractors import Extractors, absent
from unheard.bundle.golden import Golden, difference
from unheard.bundle.head import GraphHead
from unheard.bundle.known_clips import FILE as KNOWN_CLIPS
from unheard.bundle.runtime import Bundle
from unheard.bundle.schema import INPUT_NAME, Description, Input
from unheard.bundle.text_schema import TOKENIZER
from unheard.encoders.contract import Encoder
from unheard.errors import BundleError, UsageError
from unheard.exporting.encoder_graph import frozen, frozen_words
from unheard.exporting.golden import TURNS, synthetic_waves
from unheard.exporting.writing import check_target, write_bundle
from unheard.extraction.storage import averaged, statistics
from unheard.features.contract import Spec
from unheard.features.frontends import build_frontend
from unheard.heads import Model
from unheard.inputs import Form, Turn
from unheard.onnx_graphs.head_inputs import Shape
from unheard.onnx_graphs.head_outputs import Columns
from unheard.onnx_graphs.heads import graph_of
from unheard.runs.adapted_head import AdaptedHead
from unheard.runs.fitting import arrays_to_bytes
from unheard.targets import Target
from unheard.text.joining import read_with

#: Largest difference of an output between head and graph, times max(1, |output|).
TOLERANCE = 1e-4
#: Parts of ``results.json`` that are of no use without the run.
LEFT_OUT = ("folds", "variance", "held_back")


@dataclass(frozen=True)
class ExportInput:
    """An input of a head, as in its training.

    Parameters
    ----------
    extractor
        Features, or a loaded encoder, that computed the input.
    form
        Form in which the head takes it.
    layers
        Numbers of the encoder's layers that the head takes; None for all.
    average
        Number of neighbouring frames of an encoder that are averaged.
    context
        Of an encoder of words: number of turns before a clip's own that are read with it.
    """

    extractor: Spec | Encoder
    form: Form
    layers: Sequence[int] | None = None
    average: int = 1
    context: int = 0

    @property
    def numbers(self) -> tuple[int, ...]:
        """Numbers of the layers that the head takes."""
        return tuple(range(len(self.extractor.layers))) if self.layers is None else tuple(self.layers)

    def compute(self, wave: NDArray[np.float32], turns: Sequence[Turn] = ()) -> NDArray[np.float32]:
        """Return the array of a waveform at 16 kHz, or of the turns in it, computed by the extractor itself."""
        extractor = self.extractor
        if isinstance(extractor, Encoder) and extractor.medium == "text":
            (layers,) = extractor.extract([read_with(self.context, turns)], self.numbers)
            return self._in_form(layers)
        if isinstance(extractor, Spec):
            return np.asarray(extractor.compute(wave), dtype=np.float32)
        own = to_rate(wave, RATE, extractor.rate)
        decibels = extractor.settings["trim"]
        own = own if decibels is None else trim(own, decibels, extractor.rate)
        (layers,) = extractor.extract([own], self.numbers)
        return self._in_form(layers)

    def _in_form(self, layers: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        if self.form is Form.POOLED:
            return statistics(layers)
        frames = [averaged(layer, self.average) for layer in layers]
        return frames[0] if self.form is Form.FRAMES else np.stack(frames)


def export(
    head: Model,
    inputs: Mapping[str, ExportInput],
    target: Target,
    out: str | os.PathLike[str],
    *,
    temperature: float,
    training_speakers: Sequence[str],
    corpus: str,
    others: Mapping[str, Sequence[str]] | None = None,
    scores: Mapping[str, Any] | None,
    recipe: Mapping[str, Any],
    licences: Mapping[str, Any],
    thresholds: Mapping[str, float] | None = None,
    training_range: Ranges | None = None,
    channel: int | None = None,
    known_clips: bytes | None = None,
    force: bool = False,
) -> Path:
    """Write the bundle of a fitted head into the folder ``out``.

    Parameters
    ----------
    head
        Fitted head that ``onnx_graphs`` can write, or one that adapts to speakers around such a head.
    inputs
        Inputs that it was fitted on, by name.
    target
        Meaning of its outputs.
    temperature, thresholds
        Values fitted on validation rows; with ``{"confidence": 0.5}`` less sure predictions are withheld.
    training_range
        Ranges of the measures of the training clips (``unheard.audio.quality.ranges``); without them the bundle
        does not warn of recordings unlike these.
    training_speakers, corpus
        Speakers that the model was trained on, and their corpus.
    others
        Speakers of other corpora, by name, that this model, an encoder or an earlier training was trained on.
    scores
        Content of ``results.json`` of its run; None where it was not scored.
    recipe, licences
        Settings of the run, and the licence of each part (``weights``, …).
    channel
        Channel of recordings that have several, counted from 0; None for their mean.
    known_clips
        By which the recordings that it was trained on are known again (``exporting.known_clips``); without it a
        score on them is known by the names of speakers alone.
    force
        Whether an older bundle is replaced; a folder with anything else in it is never touched.

    Raises
    ------
    UsageError
        ``out`` exists, or these inputs or this head cannot be exported.
    BundleError
        The graphs do not agree with encoders and head within 1e-4.
    """
    folder = Path(out)
    check_target(folder, force)
    for name, each in inputs.items():
        _check(name, each)
    waves = synthetic_waves()
    described: dict[str, Input] = {}
    graphs: dict[str, bytes] = {}
    turns = TURNS if any(each.extractor.medium == "text" for each in inputs.values()) else ()
    said: Sequence[Sequence[Turn]] = turns or [()] * len(waves)
    computed = tuple(
        {name: each.compute(wave, own) for name, each in inputs.items()}
        for wave, own in zip(waves, said, strict=True)
    )
    for name, each in inputs.items():
        described[name], files = _described(name, each, head)
        graphs |= files
    listed = {name: [clip[name] for clip in computed] for name in inputs}
    outputs, known = head.outputs(listed), None
    if isinstance(head, AdaptedHead):
        together = {"": Known(tuple(range(len(waves))), None)}
        known = head.outputs_knowing(listed, [""] * len(waves), together)
    if outputs.shape[1] != target.width:
        raise UsageError(
            f"the head gives {outputs.shape[1]} outputs, and the target has {target.width} columns"
        )
    description = Description(
        name=str(recipe.get("recipe", corpus)),
        inputs=described,
        target=target,
        channel=channel,
        temperature=float(temperature),
        thresholds=dict(thresholds or {}),
        training_range=dict(training_range or {}),
        training={
            "corpus": corpus,
            "speakers": sorted(map(str, training_speakers)),
            "others": {name: sorted(map(str, known)) for name, known in sorted((others or {}).items())},
        },
        score=None if scores is None else {k: v for k, v in scores.items() if k not in LEFT_OUT},
        recipe=_without_places(recipe, described),
        licences={"code": "Apache-2.0", **_licences(inputs, described), **licences},
        versions=_versions(),
        adaptation=head.priors if isinstance(head, AdaptedHead) else {},
        missing=_answers_without(head, described),
    )
    shapes = {name: Shape(each.form, each.dims, each.layers) for name, each in described.items()}
    columns = Columns(len(target.classes), len(target.dimensions))
    graphs["model.onnx"] = graph_of(head.head if isinstance(head, AdaptedHead) else head, shapes, columns)
    files = dict(graphs)
    if isinstance(head, AdaptedHead):
        files[FILE] = _adaptation(head.populations_, described)
    if known_clips is not None:
        files[KNOWN_CLIPS] = known_clips
    stored = Golden(waves, computed, outputs, known, turns)
    bundle = Bundle(
        description,
        Extractors(description, graphs),
        GraphHead(graphs["model.onnx"], description),
        unpack(files, description),
    )
    _check_agreement(bundle, stored)
    if description.missing:
        _check_missing(bundle, head, computed)
    return write_bundle(folder, description, files, stored, force=force)


def _check(name: str, each: ExportInput) -> None:
    if not INPUT_NAME.fullmatch(name):
        raise UsageError(f"input {name!r}: a bundle calls its inputs by small letters, digits, _ and -")
    medium, called = each.extractor.medium, f"the input {name!r} ({each.extractor.settings['name']})"
    if medium == "id":
        raise UsageError(
            f"{called} was read from files and cannot be computed from a recording, so nothing could be "
            "predicted; export a run with features such as 'functionals'"
        )
    if medium not in ("audio", "text"):
        raise UsageError(
            f"{called} takes {medium}, and bundles take audio and text; export a run whose inputs all take these"
        )


def _described(name: str, each: ExportInput, head: Model) -> tuple[Input, dict[str, bytes]]:
    """Return the description of an input, and the files of its encoder; none where it has features."""
    extractor = each.extractor
    numbers = each.numbers
    if isinstance(extractor, Spec):
        (layer,) = extractor.layers
        version = str(extractor.version)
        return Input(extractor.settings, None, each.form, layer.dims, 1, version), {}
    if extractor.medium == "text":
        words, graph, tokenizer = frozen_words(
            extractor, numbers, _needed(head, numbers), each.average, each.context
        )
        found = Input(
            None, None, each.form, max(words.widths), len(numbers), str(text_encoder.VERSION), words
        )
        return found, {f"{name}.onnx": graph, f"{name}{TOKENIZER}": tokenizer}
    encoder, graph = frozen(extractor, numbers, _needed(head, numbers), each.average)
    version = "none" if encoder.frontend is None else str(build_frontend(encoder.frontend).version)
    found = Input(None, encoder, each.form, max(encoder.widths), len(numbers), version)
    return found, {f"{name}.onnx": graph}


def _answers_without(head: Model, described: Mapping[str, Input]) -> bool:
    """Return whether a clip that lacks an input is answered: the head allows it, and every input has frames."""
    if not getattr(head, "missing", False) or len(described) < 2:
        return False
    return all(each.form is Form.FRAMES for each in described.values())


def _adaptation(populations: Mapping[str, Population], described: Mapping[str, Input]) -> bytes:
    """Return the bytes of ``adaptation.npz``; layers that are not computed have mean 0 and variance 1."""
    arrays: dict[str, NDArray[np.float64]] = {}
    for name, own in populations.items():
        mean, variance = own.mean.copy(), own.variance.copy()
        if mean.size > MAX_VALUES:
            raise UsageError(
                f"the input {name!r} is standardised by speaker over {mean.size} values, and a bundle keeps at "
                f"most {MAX_VALUES}; take fewer layers"
            )
        encoder = described[name].network
        if encoder is not None and len(encoder.needed) < len(encoder.layers):
            unused = [k for k in range(len(encoder.layers)) if k not in encoder.needed]
            mean[unused], variance[unused] = 0.0, 1.0
        arrays |= {f"{name}.mean": mean, f"{name}.variance": variance}
    return arrays_to_bytes(arrays)


def _needed(head: Model, layers: Sequence[int]) -> tuple[int, ...]:
    """Return those of the layers that a fitted head uses; heads on frames use all that they are given."""
    used = getattr(head, "layers_", None)
    return tuple(layers) if used is None or not len(used) else tuple(layers[k] for k in used)


def _licences(inputs: Mapping[str, ExportInput], described: Mapping[str, Input]) -> dict[str, Any]:
    """Return the licences of the code of features and of the weights of encoders."""
    parts: dict[str, list[str]] = {}
    for name, each in inputs.items():
        encoder, licence = described[name].network, each.extractor.source.licence
        kind, said = ("features", licence) if encoder is None else ("encoder", "")
        if encoder is not None:
            said = f"{licence or 'unknown'} ({encoder.source})"
        if said not in parts.setdefault(kind, []):
            parts[kind].append(said)
    return {kind: said[0] if len(said) == 1 else said for kind, said in parts.items()}


def _without_places(recipe: Mapping[str, Any], inputs: Mapping[str, Input]) -> dict[str, Any]:
    """Return a recipe that names the weights of its encoders but not their places on this machine."""
    plain = dict(recipe)
    if isinstance(plain.get("inputs"), Mapping):
        plain["inputs"] = {
            name: _without_place(said, inputs[name]) if name in inputs else said
            for name, said in plain["inputs"].items()
        }
    return plain


def _without_place(said: Mapping[str, Any], each: Input) -> dict[str, Any]:
    plain = dict(said)
    if isinstance(plain.get("encoder"), Mapping) and each.network is not None:
        plain["encoder"] = {**plain["encoder"], "model": each.network.source}
        if "description" in plain["encoder"]:
            plain["encoder"]["description"] = Path(str(plain["encoder"]["description"])).name
    return plain


def _check_agreement(bundle: Bundle, stored: Golden) -> None:
    """Compare graph and head, clip by clip and together; with encoders also from the waveform on."""
    if stored.known is not None:
        far = difference(bundle.outputs_knowing(stored.inputs), stored.known)
        if far > TOLERANCE:
            raise BundleError(
                f"knowing the speaker, the graph gives other outputs than the head, by {far:.2g} (at most "
                f"{TOLERANCE:g}); nothing was written"
            )
    alone = np.concatenate([bundle.outputs([x]) for x in stored.inputs])
    for found, how in ((bundle.outputs(stored.inputs), "together"), (alone, "alone")):
        far = difference(found, stored.outputs)
        if far > TOLERANCE:
            raise BundleError(
                f"the graph gives other outputs than the head, by {far:.2g} for clips {how} "
                f"(at most {TOLERANCE:g}); nothing was written"
            )
    graphs = [f"{name}.onnx" for name, each in bundle.description.inputs.items() if each.network is not None]
    if not graphs:
        return
    found = np.concatenate([bundle.outputs([x]) for x in bundle.inputs(stored.waves, stored.turns)])
    far = difference(found, stored.outputs)
    if far > TOLERANCE:
        raise BundleError(
            f"{', '.join(graphs)} changes the outputs by {far:.2g} from those of the encoder (at most "
            f"{TOLERANCE:g}); nothing was written"
        )


def _check_missing(
    bundle: Bundle, head: Model, computed: Sequence[Mapping[str, NDArray[np.float32]]]
) -> None:
    """Compare graph and head where one input after the other is missing, with clips that have it and without."""
    for name, each in bundle.description.inputs.items():
        clips = [{**computed[0], name: absent(each)}, dict(computed[1])]
        expected = head.outputs({other: [clip[other] for clip in clips] for other in clips[0]})
        together, alone = bundle.outputs(clips), bundle.outputs(clips[:1])
        far = max(difference(together, expected), difference(alone, expected[:1]))
        if far > TOLERANCE:
            raise BundleError(
                f"without the input {name!r} the graph gives other outputs than the head, by {far:.2g} (at most "
                f"{TOLERANCE:g}); nothing was written"
            )


def _versions() -> dict[str, str]:
    packages = ("unheard", "numpy", "onnx", "onnxruntime")
    found = {name: metadata.version(name) for name in packages}
    return {**found, "python": platform.python_version()}
