"""``bundle.json``: what it must hold, checked field by field in plain code.

Nothing in it is executed; numbers and texts outside their bounds are refused, so that a loaded bundle cannot ask
for absurd amounts of anything.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from unheard.audio.resample import RATE
from unheard.errors import BundleError

#: major.minor of what this version writes. A reader takes its own and older versions, at least the two minor
#: versions before; a newer one is refused, since it may mean something else.
SCHEMA = "1.0"
MOST_CLASSES = 1000
MOST_DIMS = 100_000
KINDS = ("utterance", "frames")
#: Least and most of a number among the settings of features, beside what the features themselves refuse: what
#: they allocate grows with these.
FEATURE_BOUNDS = {"bands": (1, 1024), "fft": (1, 65_536), "hop": (0.001, 1)}
OTHER_BOUNDS = (-1e6, 1e6)


@dataclass(frozen=True)
class Description:
    """What ``bundle.json`` says.

    Parameters
    ----------
    labels
        Classes in the order of the logits.
    features
        Settings for ``unheard.features.build``.
    kind
        ``utterance``: the graph takes ``features`` (B, dims). ``frames``: it takes ``frames`` (B, T, dims) and
        ``lengths`` (B,).
    sample_rate
        Hz; of the waveform that the features are computed from.
    temperature
        The logits are divided by it before the softmax.
    thresholds
        ``confidence``: below this largest probability an answer is flagged ``unsure``.
    training
        ``corpus`` and the ``speakers`` that the model has heard.
    score
        Its results with stamps, or None where it was not scored.
    """

    name: str
    labels: tuple[str, ...]
    features: Mapping[str, Any]
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


def to_plain(description: Description) -> dict[str, Any]:
    """Return what is written to ``bundle.json``."""
    d = description
    return {
        "schema": SCHEMA,
        "name": d.name,
        "labels": list(d.labels),
        "features": dict(d.features),
        "input": {"kind": d.kind, "dims": d.dims},
        "sample_rate": d.sample_rate,
        "temperature": d.temperature,
        "thresholds": dict(d.thresholds),
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
    labels = _list(plain, "labels")
    if not 2 <= len(labels) <= MOST_CLASSES or len(set(map(str, labels))) < len(labels):
        _refuse("labels", f"{len(labels)} labels", f"2 … {MOST_CLASSES} different ones")
    for label in labels:
        if not isinstance(label, str) or not 0 < len(label) <= 200:
            _refuse("labels", repr(label), "texts of 1 … 200 characters")
    entry = _mapping(plain, "input")
    kind = entry.get("kind")
    if kind not in KINDS:
        _refuse("input.kind", repr(kind), " or ".join(KINDS))
    training = _mapping(plain, "training")
    speakers = training.get("speakers")
    if not isinstance(speakers, list) or not all(isinstance(s, str) for s in speakers):
        _refuse("training.speakers", repr(speakers)[:100], "a list of texts")
    thresholds = {
        name: _number(_mapping(plain, "thresholds"), name, 0, 1) for name in _mapping(plain, "thresholds")
    }
    score = plain.get("score")
    return Description(
        name=_text(plain, "name"),
        labels=tuple(labels),
        features=_features(plain),
        kind=str(kind),
        dims=int(_number(entry, "dims", 1, MOST_DIMS, whole=True)),
        sample_rate=int(_number(plain, "sample_rate", RATE, RATE, whole=True)),
        temperature=_number(plain, "temperature", 1e-3, 1e3),
        thresholds=thresholds,
        training=training,
        score=None if score is None else _mapping(plain, "score"),
        recipe=_mapping(plain, "recipe"),
        licences=_mapping(plain, "licences"),
        versions={str(k): str(v) for k, v in _mapping(plain, "versions").items()},
    )


def load_json(data: bytes, name: str) -> dict[str, Any]:
    """JSON object in a file's bytes; NaN, infinity and doubled names are refused."""
    try:
        value = json.loads(data.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_no_doubles)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{name} is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise BundleError(f"{name} holds {type(value).__name__}, expected an object")
    return value


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


def _features(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of features that a recording is enough for, with numbers inside their bounds."""
    settings = _mapping(plain, "features")
    if _text(settings, "name", "features.") == "precomputed":
        _refuse("features.name", "'precomputed'", "features that can be computed from a recording")
    for key, value in settings.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            _number(settings, key, *FEATURE_BOUNDS.get(key, OTHER_BOUNDS), inside="features.")
    return settings


def _list(plain: Mapping[str, Any], key: str) -> list[Any]:
    value = plain.get(key)
    if not isinstance(value, list):
        _refuse(key, repr(value)[:100], "a list")
    return value


def _mapping(plain: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = plain.get(key)
    if not isinstance(value, dict):
        _refuse(key, repr(value)[:100], "an object")
    return value


def _text(plain: Mapping[str, Any], key: str, inside: str = "") -> str:
    value = plain.get(key)
    if not isinstance(value, str):
        _refuse(inside + key, repr(value)[:100], "text")
    return value


def _number(
    plain: Mapping[str, Any], key: str, low: float, high: float, *, whole: bool = False, inside: str = ""
) -> float:
    value: Any = plain.get(key)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not low <= value <= high or not math.isfinite(value) or (whole and value != int(value)):
        kind = f"a {'whole ' if whole else ''}number in {low:g} … {high:g}" if low < high else f"{low:g}"
        _refuse(inside + key, repr(value)[:100], kind)
    return float(value)


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _refuse(field: str, found: str, expected: str) -> NoReturn:
    raise BundleError(f"bundle.json: {field} is {found}, expected {expected}")
