"""From a fitted head to a bundle: graphs, golden vectors and description, checked against head and encoder."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from unheard import features as feature_room
from unheard.audio.quality import Ranges
from unheard.audio.resample import RATE
from unheard.bundle import golden
from unheard.bundle.encoder import BundleEncoder
from unheard.bundle.encoder_graph import encoded, frozen
from unheard.bundle.runtime import Bundle
from unheard.bundle.schema import Description
from unheard.bundle.writing import check_target, write_bundle
from unheard.encoders.contract import Encoder
from unheard.errors import BundleError, UsageError
from unheard.onnx_graphs.heads import graph_of

#: Largest difference of a logit between head and graph, times max(1, |logit|).
TOLERANCE = 1e-4
#: Of ``results.json``, what is of no use without the run.
LEFT_OUT = ("folds", "variance", "held_back")


def export(
    head: Any,
    features: Mapping[str, Any] | None,
    classes: Sequence[str],
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
    domain: Ranges | None = None,
    channel: int | None = None,
    encoder: Encoder | None = None,
    entries: Sequence[int] | None = None,
    average: int = 1,
    force: bool = False,
) -> Path:
    """Write the bundle of a fitted head into the folder ``out``.

    Parameters
    ----------
    head
        Fitted, with a graph in ``bundle/graphs``.
    features
        Settings of the features that it was fitted on; None with an encoder.
    classes
        In the order of its logits.
    temperature, thresholds
        From validation rows; with ``{"confidence": 0.5}`` less sure answers are withheld.
    domain
        Ranges of what is measured of the training clips (``unheard.audio.quality.ranges``); without them a bundle
        warns of no recording that is unlike them.
    training_speakers, corpus
        Whom the model has heard.
    others
        Of other corpora: name to speakers, heard by the encoder or in training before.
    scores
        ``results.json`` of its run, None where it was not scored.
    recipe, licences
        As recorded: settings of the run; layer (``weights``, …) to licence.
    channel
        Of recordings that have several, counted from 0; None for their mean.
    encoder, entries, average
        What the head was fitted on instead of features: numbers of a loaded encoder's entries (None: all), so many
        neighbouring frames averaged.
    force
        Replace an older bundle. A folder with anything else in it is never touched.

    Raises
    ------
    UsageError
        ``out`` exists, or these features, this encoder or this head cannot be exported.
    BundleError
        The graphs do not agree with encoder and head within 1e-4.
    """
    target = Path(out)
    check_target(target, force)
    waves = golden.synthetic_waves()
    graphs: dict[str, bytes] = {}
    about: dict[str, Any]
    if encoder is None:
        spec, about = _of_features(features or {})
        inputs = tuple(np.asarray(spec.compute(wave), dtype=np.float32) for wave in waves)
        about["kind"] = "utterance" if inputs[0].ndim == 1 else "frames"
        licences = {"features": spec.source.licence, **licences}
    else:
        kept = tuple(range(len(encoder.layers))) if entries is None else tuple(entries)
        inputs = encoded(encoder, waves, str(head.form), kept, average)
        described, graphs["encoder.onnx"] = frozen(
            encoder, str(head.form), kept, _needed(head, kept), average
        )
        spec = BundleEncoder(graphs["encoder.onnx"], described)
        about = {"features": None, "encoder": described, "kind": described.form, "entries": len(kept)}
        about["sample_rate"] = described.rate
        licences = {"encoder": f"{described.licence or 'unknown'} ({described.source})", **licences}
        recipe = _without_place(recipe, described.source)
    stored = golden.Golden(waves, inputs, head.outputs({"voice": inputs}))
    description = Description(
        name=str(recipe.get("recipe", corpus)),
        labels=tuple(map(str, classes)),
        dims=inputs[0].shape[-1],
        channel=channel,
        **about,
        temperature=float(temperature),
        thresholds=dict(thresholds or {}),
        domain=dict(domain or {}),
        training={
            "corpus": corpus,
            "speakers": sorted(map(str, training_speakers)),
            "others": {name: sorted(map(str, heard)) for name, heard in sorted((others or {}).items())},
        },
        score=None if scores is None else {k: v for k, v in scores.items() if k not in LEFT_OUT},
        recipe=recipe,
        licences={"code": "Apache-2.0", **licences},
        versions=_versions(spec),
    )
    if stored.logits.shape[1] != len(description.labels):
        raise UsageError(
            f"the head gives {stored.logits.shape[1]} logits, and there are {len(description.labels)} classes"
        )
    graphs["model.onnx"] = graph_of(head, description.kind, description.dims, description.entries)
    _check_agreement(Bundle(description, spec, graphs["model.onnx"]), stored)
    return write_bundle(target, description, graphs, stored, force=force)


def _of_features(settings: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return what computes features, and what the description says of them."""
    if settings.get("name") == "precomputed":
        raise UsageError(
            "features 'precomputed' were read from files and cannot be computed from a recording, so nothing "
            "could be predicted; export a run with features such as 'functionals'"
        )
    spec = feature_room.build(settings)
    return spec, {"features": feature_room.settings(spec), "sample_rate": RATE}


def _needed(head: Any, entries: Sequence[int]) -> tuple[int, ...]:
    """Return those of the entries that a fitted head uses; heads on frames use all that they are given."""
    used = getattr(head, "layers_", None)
    return tuple(entries) if used is None or not len(used) else tuple(entries[k] for k in used)


def _without_place(recipe: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return a recipe that names its weights and not where they lay."""
    plain = dict(recipe)
    if isinstance(plain.get("encoder"), Mapping):
        plain["encoder"] = {**plain["encoder"], "model": source}
        if "description" in plain["encoder"]:
            plain["encoder"]["description"] = Path(str(plain["encoder"]["description"])).name
    return plain


def _check_agreement(bundle: Bundle, stored: golden.Golden) -> None:
    """Compare graph and head, clip by clip and together; behind an encoder, from the waveforms on."""
    alone = np.concatenate([bundle.logits([x]) for x in stored.features])
    for found, how in ((bundle.logits(stored.features), "together"), (alone, "alone")):
        far = golden.difference(found, stored.logits)
        if far > TOLERANCE:
            raise BundleError(
                f"the graph gives other logits than the head, by {far:.2g} for clips {how} "
                f"(at most {TOLERANCE:g}); nothing was written"
            )
    if bundle.description.encoder is None:
        return
    far = golden.difference(
        np.concatenate([bundle.logits([x]) for x in bundle.features(stored.waves)]), stored.logits
    )
    if far > TOLERANCE:
        raise BundleError(
            f"encoder.onnx changes the logits by {far:.2g} from those of the encoder (at most {TOLERANCE:g}); "
            "nothing was written"
        )


def _versions(spec: Any) -> dict[str, str]:
    packages = ("unheard", "numpy", "onnx", "onnxruntime")
    found = {name: metadata.version(name) for name in packages}
    return {**found, "features": str(spec.version), "python": platform.python_version()}
