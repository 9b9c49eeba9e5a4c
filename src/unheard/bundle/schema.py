"""``bundle.json``: what it must hold, checked field by field in plain code.

Nothing in it is executed; numbers and texts outside their bounds are refused, so that a loaded bundle cannot ask
for absurd amounts of anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from unheard.audio.resample import RATE
from unheard.audio.source import MOST_CHANNELS
from unheard.bundle.encoder_schema import MOST_ENTRIES, EncoderDescription, parse_encoder
from unheard.bundle.fields import bounded, listed, load_json, mapping, number, refuse, text
from unheard.bundle.training_range import parse_domain
from unheard.errors import BundleError

#: major.minor of what this version writes. A reader takes its own and older versions, at least the two minor
#: versions before; a newer one is refused, since it may mean something else.
SCHEMA = "1.2"
MOST_CLASSES = 1000
MOST_DIMS = 100_000
#: How numbers of the graphs are stored; computed is always in float32 (linear heads: float64).
WEIGHTS = ("float32", "float16", "int8")
KINDS = ("utterance", "frames", "pooled", "layers")


@dataclass(frozen=True)
class Description:
    """What ``bundle.json`` says.

    Parameters
    ----------
    labels
        Classes in the order of the logits.
    features, encoder
        One of the two: settings for ``unheard.features.build``, or the frozen network of ``encoder.onnx``.
    kind
        ``utterance``: the graph takes ``features`` (B, dims). ``frames``: it takes ``frames`` (B, T, dims) and
        ``lengths`` (B,). ``pooled``: it takes ``features`` (B, entries, 2, dims). ``layers``: it takes ``frames``
        (B, entries, T, dims) and ``lengths`` (B,).
    entries
        Of an encoder that the head sees: 1 but for ``pooled`` and ``layers``.
    sample_rate
        Hz; of the waveform that the features are computed from.
    channel
        That recordings of several channels are taken by, counted from 0; None: their mean.
    temperature
        The logits are divided by it before the softmax.
    thresholds
        ``confidence``: below this largest probability no label is given (``unsure``).
    domain
        Lowest and highest of each measure of ``unheard.audio.quality`` over training clips; {} warns of nothing.
    training
        ``corpus`` and the ``speakers`` that the model has heard; ``others``: those of further corpora, by name.
    score
        Its results with stamps, or None where it was not scored.
    weights
        ``float32``, or how the numbers of the graphs were made smaller (``compact``).
    """

    name: str
    labels: tuple[str, ...]
    features: Mapping[str, Any] | None
    kind: str
    dims: int
    sample_rate: int
    temperature: float
    thresholds: Mapping[str, float]
    training: Mapping[str, Any]
    score: Mapping[str, Any] | None
    recipe: Mapping[str, Any]
    licences: Mapping[str, Any]
    versions: Mapping[str, str]
    encoder: EncoderDescription | None = None
    entries: int = 1
    channel: int | None = None
    weights: str = "float32"
    domain: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)


def to_plain(description: Description) -> dict[str, Any]:
    """Return what is written to ``bundle.json``."""
    d = description
    return {
        "schema": SCHEMA,
        "name": d.name,
        "labels": list(d.labels),
        "features": None if d.features is None else dict(d.features),
        "encoder": None if d.encoder is None else asdict(d.encoder),
        "input": {"kind": d.kind, "dims": d.dims, "entries": d.entries},
        "sample_rate": d.sample_rate,
        "channel": d.channel,
        "weights": d.weights,
        "temperature": d.temperature,
        "thresholds": dict(d.thresholds),
        "domain": {name: list(ends) for name, ends in d.domain.items()},
        "training": dict(d.training),
        "score": None if d.score is None else dict(d.score),
        "recipe": dict(d.recipe),
        "licences": dict(d.licences),
        "versions": dict(d.versions),
    }


def parse(data: bytes) -> Description:
    """Read and check the bytes of ``bundle.json``."""
    plain = load_json(data, "bundle.json")
    check_version(plain.get("schema"), "bundle.json")
    labels = listed(plain, "labels")
    if not 2 <= len(labels) <= MOST_CLASSES or len(set(map(str, labels))) < len(labels):
        refuse("labels", f"{len(labels)} labels", f"2 … {MOST_CLASSES} different ones")
    for label in labels:
        if not isinstance(label, str) or not 0 < len(label) <= 200:
            refuse("labels", repr(label), "texts of 1 … 200 characters")
    entry = mapping(plain, "input")
    kind = entry.get("kind")
    if kind not in KINDS:
        refuse("input.kind", repr(kind), " or ".join(KINDS))
    training = mapping(plain, "training")
    speakers = training.get("speakers")
    if not _texts(speakers):
        refuse("training.speakers", repr(speakers)[:100], "a list of texts")
    others = training.setdefault("others", {})  # unknown before schema 1.2
    if not isinstance(others, dict) or not all(_texts(heard) for heard in others.values()):
        refuse("training.others", repr(others)[:100], "corpora, each with a list of texts")
    weights = plain.get("weights", "float32")
    if weights not in WEIGHTS:
        refuse("weights", repr(weights)[:100], " or ".join(WEIGHTS))
    thresholds = {
        name: number(mapping(plain, "thresholds"), name, 0, 1) for name in mapping(plain, "thresholds")
    }
    score = plain.get("score")
    # Schema 1.0 knew neither encoders nor channels.
    encoder = None if plain.get("encoder") is None else parse_encoder(mapping(plain, "encoder"))
    channel = plain.get("channel")
    rate = RATE if encoder is None else encoder.rate
    found = Description(
        name=text(plain, "name"),
        labels=tuple(labels),
        features=None if encoder is not None else _features(plain),
        encoder=encoder,
        kind=str(kind),
        dims=int(number(entry, "dims", 1, MOST_DIMS, whole=True)),
        entries=int(number({"entries": 1, **entry}, "entries", 1, MOST_ENTRIES, whole=True, inside="input.")),
        sample_rate=int(number(plain, "sample_rate", rate, rate, whole=True)),
        channel=None if channel is None else int(number(plain, "channel", 0, MOST_CHANNELS - 1, whole=True)),
        weights=str(weights),
        temperature=number(plain, "temperature", 1e-3, 1e3),
        thresholds=thresholds,
        domain=parse_domain(plain),
        training=training,
        score=None if score is None else mapping(plain, "score"),
        recipe=mapping(plain, "recipe"),
        licences=mapping(plain, "licences"),
        versions={str(k): str(v) for k, v in mapping(plain, "versions").items()},
    )
    _check_input(found, plain)
    return found


def check_version(version: object, name: str) -> None:
    """Refuse a schema that is newer than ours, or none at all."""
    parts = version.split(".") if isinstance(version, str) else []
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) < 6 for part in parts):
        raise BundleError(f"{name}: schema is {version!r}, expected a version such as {SCHEMA!r}")
    if tuple(map(int, parts)) > tuple(map(int, SCHEMA.split("."))):
        raise BundleError(
            f"{name}: schema {version} is newer than {SCHEMA}, the newest that this version of unheard reads; "
            "update unheard"
        )


def _check_input(d: Description, plain: Mapping[str, Any]) -> None:
    """Refuse a head that takes something else than the features or the encoder give."""
    if d.encoder is None:
        if d.kind not in ("utterance", "frames") or d.entries != 1:
            refuse(
                "input", f"{d.kind} of {d.entries} entries", "utterance or frames where there is no encoder"
            )
        return
    if plain.get("features") is not None:
        refuse("features", "there beside an encoder", "null")
    e = d.encoder
    # How many dims features beside the frames have, they say themselves when they are built.
    wide = d.dims if e.beside is not None and d.dims > max(e.widths) else max(e.widths)
    expected = (e.form, len(e.entries), wide)
    if (d.kind, d.entries, d.dims) != expected:
        refuse(
            "input",
            f"{d.kind} of {d.entries} entries and {d.dims} dims",
            "{} of {} and {}, as the encoder gives".format(*expected),
        )


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _features(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of features that a recording is enough for, with numbers inside their bounds."""
    settings = mapping(plain, "features")
    if text(settings, "name", "features.") == "precomputed":
        refuse("features.name", "'precomputed'", "features that can be computed from a recording")
    return bounded(settings, "features.")
