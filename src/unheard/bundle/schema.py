"""``bundle.json``: what it must hold, checked field by field in plain code.

Nothing in it is executed; numbers and texts outside their bounds are refused, so that a loaded bundle cannot ask
for absurd amounts of anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from unheard.adaptation.profile import Priors
from unheard.audio.resample import RATE
from unheard.audio.source import MAX_CHANNELS
from unheard.audio.trim import Cut
from unheard.bundle.encoder_schema import (
    MAX_LAYERS,
    EncoderDescription,
    NetworkDescription,
    parse_encoder,
)
from unheard.bundle.fields import bounded, listed, mapping, number, refuse, text, texts
from unheard.bundle.text_schema import TextEncoderDescription, parse_text_encoder
from unheard.bundle.training_range import parse_training_range
from unheard.errors import BundleError
from unheard.inputs import Form
from unheard.targets import KINDS, Target

#: major.minor of what this version writes. A newer one is refused, since it may mean something else; 1.x is read
#: by ``unheard.bundle.schema1``.
SCHEMA = "2.2"
MAX_INPUTS = 16
MAX_COLUMNS = 1000
MAX_DIMS = 100_000
#: How numbers of the graphs are stored; computed is always in float32 (linear heads: float64).
WEIGHTS = ("float32", "float16", "int8")
#: Smallest and largest weight of the training speakers against a speaker's clips, in clips.
PRIOR = (0.01, 1000.0)
#: What an input may be called; its encoder's graph is ``NAME.onnx``.
INPUT_NAME = re.compile(r"(?!model\b)[a-z][a-z0-9_-]{0,39}")


@dataclass(frozen=True)
class Input:
    """One input of the head, and what computes it.

    Parameters
    ----------
    features, encoder, words
        One of them: settings for ``unheard.features.build``; a frozen network on waveforms, or one on words, whose
        graph is ``NAME.onnx``, the latter with ``NAME.tokenizer.json``.
    form
        Shape of what the head takes.
    dims
        Size of its last axis.
    layers
        Number of layers; 1 unless the form is ``pooled`` or ``layers``.
    version
        Version of the code that computes the features, or the frontend before the encoder.
    """

    features: Mapping[str, Any] | None
    encoder: EncoderDescription | None
    form: Form
    dims: int
    layers: int
    version: str
    words: TextEncoderDescription | None = None

    @property
    def medium(self) -> str:
        """What it is computed from, ``audio`` or ``text``."""
        return "audio" if self.words is None else "text"

    @property
    def network(self) -> NetworkDescription | None:
        """The frozen network that computes it; None where features do."""
        return self.encoder if self.words is None else self.words

    @property
    def rate(self) -> int:
        """Hz of the waveform that it is computed from."""
        return RATE if self.encoder is None else self.encoder.rate

    @property
    def trim(self) -> Cut | None:
        """How silence is cut off both ends of that waveform."""
        return (self.features or {}).get("trim") if self.encoder is None else self.encoder.trim

    @property
    def shape(self) -> tuple[int | str, ...]:
        """Shape of a clip's array; ``frames`` stands where it may be any."""
        return {
            Form.ROW: (self.dims,),
            Form.POOLED: (self.layers, 2, self.dims),
            Form.FRAMES: ("frames", self.dims),
            Form.LAYERS: (self.layers, "frames", self.dims),
        }[self.form]


@dataclass(frozen=True)
class Description:
    """What ``bundle.json`` says.

    Parameters
    ----------
    inputs
        What the head takes, by name: its graph takes ``NAME`` and, where clips differ in length, ``NAME.lengths``.
    target
        What the columns of the graph's ``outputs`` are.
    channel
        Channel that is read of recordings with several, counted from 0; None for their mean.
    temperature
        Class scores are divided by it before the softmax.
    thresholds
        ``confidence``: below this largest probability no label is given (``unsure``).
    training_range
        Lowest and highest of each measure of ``unheard.audio.quality`` over training clips; {} warns of nothing.
    training
        ``corpus`` and the ``speakers`` that the model was trained on; ``others``: those of further corpora, by
        name.
    score
        Its results with stamps, or None where it was not scored.
    weights
        ``float32``, or how the numbers of the graphs were made smaller (``compact``).
    adaptation
        Inputs that are standardised by speaker, with how much the training speakers count
        (``unheard.bundle.adaptation``); {} where the bundle does not adapt.
    missing
        Whether a clip that lacks an input is answered from the others.
    """

    name: str
    inputs: Mapping[str, Input]
    target: Target
    temperature: float
    thresholds: Mapping[str, float]
    training: Mapping[str, Any]
    score: Mapping[str, Any] | None
    recipe: Mapping[str, Any]
    licences: Mapping[str, Any]
    versions: Mapping[str, str]
    channel: int | None = None
    weights: str = "float32"
    training_range: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    adaptation: Mapping[str, Priors] = field(default_factory=dict)
    missing: bool = False

    @property
    def takes_words(self) -> bool:
        """Return whether an input is computed from what was said."""
        return any(each.words is not None for each in self.inputs.values())

    @property
    def takes_sound(self) -> bool:
        """Return whether an input is computed from the recording."""
        return any(each.words is None for each in self.inputs.values())

    @property
    def sample_rate(self) -> int:
        """Hz at which recordings are decoded: the highest that an input needs."""
        return max(each.rate for each in self.inputs.values())

    @property
    def random(self) -> bool:
        """Return whether an encoder has weights that learned nothing: RANDOM WEIGHTS."""
        return any(each.network is not None and each.network.random for each in self.inputs.values())


def to_plain(description: Description) -> dict[str, Any]:
    """Return what is written to ``bundle.json``."""
    d = description
    return {
        "schema": SCHEMA,
        "name": d.name,
        "inputs": {name: _plain_input(each) for name, each in d.inputs.items()},
        "target": {
            "classes": list(d.target.classes),
            "of": d.target.of,
            "dimensions": list(d.target.dimensions),
        },
        "channel": d.channel,
        "weights": d.weights,
        "temperature": d.temperature,
        "thresholds": dict(d.thresholds),
        "training_range": {name: list(ends) for name, ends in d.training_range.items()},
        "adaptation": {name: asdict(priors) for name, priors in d.adaptation.items()},
        "missing": d.missing,
        "training": dict(d.training),
        "score": None if d.score is None else dict(d.score),
        "recipe": dict(d.recipe),
        "licences": dict(d.licences),
        "versions": dict(d.versions),
    }


def parse(plain: Mapping[str, Any]) -> Description:
    """Read and check the object of ``bundle.json``."""
    check_version(plain.get("schema"), "bundle.json")
    inputs = mapping(plain, "inputs")
    if not 1 <= len(inputs) <= MAX_INPUTS:
        refuse("inputs", f"{len(inputs)} of them", f"1 … {MAX_INPUTS}")
    parsed = {name: _parse_input(name, mapping(inputs, name, "inputs.")) for name in inputs}
    return Description(
        inputs=parsed,
        missing=_parse_missing(plain, parsed),
        target=_parse_target(mapping(plain, "target")),
        training_range=parse_training_range(plain, "training_range"),
        adaptation=_parse_adaptation(plain, inputs),
        **parse_common(plain),
    )


def parse_common(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Read and check the fields that mean the same in every schema."""
    training = dict(mapping(plain, "training"))
    if not texts(training.get("speakers")):
        refuse("training.speakers", repr(training.get("speakers"))[:100], "a list of texts")
    others = training.setdefault("others", {})
    if not isinstance(others, dict) or not all(texts(known) for known in others.values()):
        refuse("training.others", repr(others)[:100], "corpora, each with a list of texts")
    weights = plain.get("weights", "float32")
    if weights not in WEIGHTS:
        refuse("weights", repr(weights)[:100], " or ".join(WEIGHTS))
    thresholds, score, channel = mapping(plain, "thresholds"), plain.get("score"), plain.get("channel")
    return {
        "name": text(plain, "name"),
        "channel": None
        if channel is None
        else int(number(plain, "channel", 0, MAX_CHANNELS - 1, whole=True)),
        "weights": str(weights),
        "temperature": number(plain, "temperature", 1e-3, 1e3),
        "thresholds": {name: number(thresholds, name, 0, 1) for name in thresholds},
        "training": training,
        "score": None if score is None else mapping(plain, "score"),
        "recipe": mapping(plain, "recipe"),
        "licences": mapping(plain, "licences"),
        "versions": {str(k): str(v) for k, v in mapping(plain, "versions").items()},
    }


def parse_names(plain: Mapping[str, Any], key: str, inside: str, low: int) -> tuple[str, ...]:
    """Read a list of different names of classes or dimensions, at least so many."""
    names = listed(plain, key, inside)
    if not low <= len(names) <= MAX_COLUMNS or len(set(map(str, names))) < len(names):
        refuse(inside + key, f"{len(names)} {key}", f"{low} … {MAX_COLUMNS} different ones")
    for name in names:
        if not isinstance(name, str) or not 0 < len(name) <= 200:
            refuse(inside + key, repr(name), "texts of 1 … 200 characters")
    return tuple(names)


def parse_features(plain: Mapping[str, Any], key: str, inside: str = "") -> dict[str, Any]:
    """Read settings of features that a recording is enough for, with numbers inside their bounds."""
    settings, at = mapping(plain, key, inside), f"{inside}{key}."
    if text(settings, "name", at) == "precomputed":
        refuse(f"{at}name", "'precomputed'", "features that can be computed from a recording")
    return bounded(settings, at)


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


def is_schema1(plain: Mapping[str, Any]) -> bool:
    """Return whether a ``bundle.json`` is of schema 1."""
    return str(plain.get("schema")).startswith("1.")


def check_input(each: Input, at: str) -> None:
    """Refuse an input that takes something else than its features or its encoder give."""
    e = each.network
    if e is None:
        if each.form not in (Form.ROW, Form.FRAMES) or each.layers != 1:
            refuse(at, f"{each.form} of {each.layers} layers", "row or frames where there is no encoder")
        return
    if each.form is Form.ROW:
        refuse(f"{at}.form", "'row'", "pooled, frames or layers of an encoder")
    if each.form is Form.FRAMES and len(e.layers) > 1:
        refuse(f"{at}.form", "'frames'", "'layers' for several layers")
    if each.form is Form.LAYERS and (len(set(e.widths)) > 1 or len(e.needed) < len(e.layers)):
        refuse(f"{at}.form", "'layers'", "one width and all layers needed")
    if (each.layers, each.dims) != (len(e.layers), max(e.widths)):
        refuse(
            at,
            f"{each.layers} layers of {each.dims} dims",
            f"{len(e.layers)} of {max(e.widths)}, as the encoder gives",
        )


def _plain_input(each: Input) -> dict[str, Any]:
    extractor = {"features": dict(each.features)} if each.features is not None else {}
    if each.network is not None:
        extractor["encoder"] = asdict(each.network)
    return {
        "medium": each.medium,
        "extractor": extractor,
        "form": str(each.form),
        "dims": each.dims,
        "layers": each.layers,
        "version": each.version,
    }


def _parse_input(name: str, plain: Mapping[str, Any]) -> Input:
    at = f"inputs.{name}"
    if not INPUT_NAME.fullmatch(name):
        refuse("inputs", f"{name!r:.60}", "names of small letters, digits, _ and -, and none is 'model'")
    medium = plain.get("medium")
    if medium not in ("audio", "text"):
        refuse(f"{at}.medium", f"{medium!r:.60}", "'audio' or 'text', which this version of unheard reads")
    extractor, inside = mapping(plain, "extractor", f"{at}."), f"{at}.extractor."
    if sorted(extractor) not in (["encoder"], ["features"]):
        refuse(f"{at}.extractor", f"{sorted(extractor)!r:.100}", "either 'features' or 'encoder'")
    if medium == "text" and "encoder" not in extractor:
        refuse(f"{at}.extractor", "'features'", "'encoder' for an input of words")
    if plain.get("form") not in list(Form):
        refuse(f"{at}.form", f"{plain.get('form')!r:.60}", " or ".join(Form))
    found = Input(
        features=parse_features(extractor, "features", inside) if "features" in extractor else None,
        encoder=parse_encoder(mapping(extractor, "encoder", inside), f"{inside}encoder.")
        if "encoder" in extractor and medium == "audio"
        else None,
        words=parse_text_encoder(mapping(extractor, "encoder", inside), f"{inside}encoder.")
        if medium == "text"
        else None,
        form=Form(plain["form"]),
        dims=int(number(plain, "dims", 1, MAX_DIMS, whole=True, inside=f"{at}.")),
        layers=int(number(plain, "layers", 1, MAX_LAYERS, whole=True, inside=f"{at}.")),
        version=text(plain, "version", f"{at}."),
    )
    check_input(found, at)
    return found


def _parse_missing(plain: Mapping[str, Any], inputs: Mapping[str, Input]) -> bool:
    """Read whether an input may be missing, which is said by frames that are not there; none before 2.2 may."""
    value = plain.get("missing", False)
    if not isinstance(value, bool) or (
        value and not (len(inputs) > 1 and all(each.form is Form.FRAMES for each in inputs.values()))
    ):
        refuse("missing", f"{value!r:.60}", "true or false, and false unless several inputs have frames")
    return value


def _parse_adaptation(plain: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Priors]:
    """Read the priors of the inputs that are standardised by speaker; bundles before 2.1 have none."""
    if plain.get("adaptation") is None:
        return {}
    found = {}
    for name, priors in mapping(plain, "adaptation").items():
        if name not in inputs:
            refuse("adaptation", f"of {name!r:.60}", f"names of inputs: {', '.join(inputs)}")
        at = f"adaptation.{name}."
        given = priors if isinstance(priors, dict) else {}
        found[name] = Priors(
            *(number(given, key, *PRIOR, inside=at) for key in ("mean_prior", "variance_prior"))
        )
    return found


def _parse_target(plain: Mapping[str, Any]) -> Target:
    classes = parse_names(plain, "classes", "target.", 0)
    dimensions = parse_names(plain, "dimensions", "target.", 0)
    if plain.get("of") not in KINDS:
        refuse("target.of", f"{plain.get('of')!r:.60}", " or ".join(KINDS))
    if len(classes) == 1 or not (classes or dimensions) or set(classes) & set(dimensions):
        refuse(
            "target",
            f"{len(classes)} classes and {len(dimensions)} dimensions",
            "2 classes or more, or dimensions, with different names",
        )
    return Target(classes, str(plain["of"]), dimensions)
