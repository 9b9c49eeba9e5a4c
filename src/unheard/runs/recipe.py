"""A recipe: the complete statement of a system, flat, without inheritance, validated whole before any work.

Recipes of the package are YAML files in ``unheard/recipes``; one of your own is named by its path.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from unheard import encoders, features, heads, tuning
from unheard.audio.conditions import RATIOS
from unheard.audio.noise import Kind
from unheard.errors import UnheardError, UsageError, unknown
from unheard.files import digest
from unheard.inputs import Form


class Published(BaseModel):
    """A figure from a publication to set beside ours, as published, in percent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    system: str
    protocol: str
    train_speakers: int
    accuracy: float | None = None
    uar: float | None = None
    source: str


class Storing(BaseModel):
    """How an encoder's output is kept between runs (docs/store.md)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["float32", "float16", "int8"] | None = None
    average: int = Field(default=1, ge=1, le=100)


class Added(BaseModel):
    """Noise that training clips are heard in, and the range of its ratio in dB (docs/store.md)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    snr: tuple[float, float]


class Recipe(BaseModel):
    """What a run does; every field is recorded, and all but names, folds and seeds make the settings hash.

    A recipe has ``features`` or an ``encoder``. What a head on an encoder learns from follows from the head:
    pooled statistics of all entries, all frames of one entry (``layer``: its number, ``last``, or ``salient``,
    chosen on the fold's training speakers), or all frames of all entries. ``store`` says how these are kept.
    Heads that draw batches of frames may hear the training clips at other ``speeds`` too, as of other voices, and
    in ``noises``.
    With ``training`` the encoder is tuned together with the head, from waveforms.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipe: str
    about: str
    corpus: str | None = None
    protocol: str
    features: dict[str, Any] | None = None
    encoder: dict[str, Any] | None = None
    layer: int | Literal["last", "salient"] | None = None
    store: Storing | None = None
    speeds: tuple[float, ...] = ()
    noises: tuple[Added, ...] = ()
    training: dict[str, Any] | None = None
    head: dict[str, Any]
    calibration: Literal["temperature", "free", "none"] = "temperature"
    refit: Literal["none", "val"] = "none"
    channel: int | None = Field(default=None, ge=0)
    allow_truncated: bool = False
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1)
    threads: int = Field(default=1, ge=1, le=64)
    held_back: tuple[str, ...] = ()
    published: tuple[Published, ...] = ()

    @field_validator("features")
    @classmethod
    def _features_exist(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        return None if value is None else _whole(features.settings, features.build, value)

    @field_validator("encoder")
    @classmethod
    def _encoder_exists(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        return None if value is None else encoders.checked(value)

    @field_validator("training")
    @classmethod
    def _training_exists(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        return None if value is None else tuning.checked(value)

    @field_validator("head")
    @classmethod
    def _head_exists(cls, value: dict[str, Any]) -> dict[str, Any]:
        return _whole(lambda head: head.settings(), heads.build, value)

    @field_validator("seeds")
    @classmethod
    def _seeds_differ(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(value)) < len(value):
            raise ValueError("the same seed stands twice")
        return value

    @field_validator("speeds")
    @classmethod
    def _speeds_change_something(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(value)) < len(value) or not all(0.5 <= speed <= 2 and speed != 1 for speed in value):
            raise ValueError("speeds are different numbers from 0.5 to 2 without 1, such as [0.9, 1.1]")
        return value

    @field_validator("noises", mode="before")
    @classmethod
    def _noises_have_kind_and_range(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple) or not all(_is_noise(one) for one in value):
            raise ValueError(
                f"noises have a kind ({', '.join(get_args(Kind))}) and a range in dB, the least first, within "
                f"{RATIOS[0]} to {RATIOS[1]}, such as [{{kind: coloured, snr: [0, 20]}}] (found {value!r})"
            )
        return value

    @model_validator(mode="after")
    def _parts_fit(self) -> Recipe:
        if (self.features is None) == (self.encoder is None):
            raise ValueError("a recipe has either features or an encoder")
        frames = self.form is Form.FRAMES and self.training is None
        if self.encoder is None:
            given = [
                name for name in ("layer", "store", "speeds", "noises", "training") if getattr(self, name)
            ]
            if given:
                raise ValueError(f"{given[0]} belongs to a recipe with an encoder")
            if self.form is Form.LAYERS:
                raise ValueError(f"the head {self.head['name']!r} learns from all layers of an encoder")
        elif self.layer is not None and not frames:
            raise ValueError(f"layer is for heads on the frames of one entry, not {self.head['name']!r}")
        elif (self.speeds or self.noises) and not frames:
            raise ValueError(
                f"{'speeds' if self.speeds else 'noises'} are for heads on the frames of one entry of a frozen "
                f"encoder, not {self.head['name']!r}"
            )
        elif self.encoder["beside"] is not None and not frames:
            raise ValueError(
                f"encoder.beside is for heads on the frames of one entry of a frozen encoder, not "
                f"{self.head['name']!r}"
            )
        elif self.store is not None and self.training is not None:
            raise ValueError("a recipe with training keeps nothing: leave store out")
        elif self.training is not None and self.encoder["name"] not in encoders.TUNABLE:
            raise ValueError(
                f"the encoder {self.encoder['name']!r} has no layers that can be tuned; leave training out, or "
                f"take one of {', '.join(encoders.TUNABLE)}"
            )
        return self

    @property
    def form(self) -> Form:
        """Form in which the head asks for the output of an encoder."""
        return heads.build(self.head).form

    @property
    def random_weights(self) -> bool:
        """Whether its encoder has learned nothing."""
        return self.encoder is not None and encoders.is_random(self.encoder)

    @property
    def settings_hash(self) -> str:
        """SHA-256 of what decides a fold's model, its threads included; not of folds, seeds or names."""
        decided = {name: getattr(self, name) for name in ("features", "calibration", "refit", "threads")}
        # Options count where they are used: one that is added later leaves the hash of stored results alone.
        decided["head"] = {key: value for key, value in self.head.items() if value is not None}
        plain = self.plain()
        for name in ("channel", "allow_truncated", "layer", "store", "speeds", "noises", "training"):
            if getattr(self, name) != type(self).model_fields[name].default:
                decided[name] = plain[name]
        if self.features is not None:
            # Features that were computed elsewhere are known by their content, wherever they lie.
            decided["features"] = {key: value for key, value in self.features.items() if key != "path"}
        if self.encoder is not None:
            # Weights are known by their content, and by their name only as long as they were not read.
            place = ["model", "revision", "device"] if self.encoder["sha256"] else ["device"]
            place += ["beside"] if self.encoder["beside"] is None else []
            decided["encoder"] = {key: value for key, value in self.encoder.items() if key not in place}
        return digest(decided)

    def plain(self) -> dict[str, Any]:
        """Plain values in the order of the fields, for YAML and JSON."""
        return self.model_dump(mode="json")


def _whole(settings: Any, build: Any, value: dict[str, Any]) -> dict[str, Any]:
    """Check settings by building from them, and fill in the defaults, so that a recipe says everything."""
    full: dict[str, Any] = settings(build(value))
    return {key: item for key, item in full.items() if key not in ("seed", "threads")}


def _is_noise(value: Any) -> bool:
    named = isinstance(value, Mapping) and set(value) == {"kind", "snr"}
    return named and value["kind"] in get_args(Kind) and _is_range_of_ratios(value["snr"])


def _is_range_of_ratios(value: Any) -> bool:
    numbers = isinstance(value, list | tuple) and all(isinstance(ratio, int | float) for ratio in value)
    return numbers and len(value) == 2 and RATIOS[0] <= value[0] <= value[1] <= RATIOS[1]


def names() -> list[str]:
    """Names of the recipes in the package."""
    folder = files("unheard").joinpath("recipes")
    return sorted(
        entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")
    )


def load(name: str | os.PathLike[str], changes: Mapping[str, Any] | None = None) -> Recipe:
    """Read a recipe by name or path, change what is asked, and validate the whole.

    Parameters
    ----------
    name
        A name of :func:`names`, or a YAML file.
    changes
        Dotted field to value, such as ``{"head.dropout": 0.3, "refit": "val"}``.

    Raises
    ------
    UsageError
        Unknown recipe or field, or a value that does not fit; the field is named.
    """
    given = str(name)
    if given.endswith((".yaml", ".yml")):
        source = Path(given)
        if not source.is_file():
            raise UsageError(f"{source}: no such recipe file")
        text = source.read_text(encoding="utf-8")
    elif given in names():
        text = files("unheard").joinpath("recipes", f"{given}.yaml").read_text(encoding="utf-8")
    else:
        raise unknown("recipe", given, names())
    try:
        plain = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"{given}: not YAML ({error})") from error
    if not isinstance(plain, dict):
        raise UsageError(f"{given}: a recipe is a mapping of fields")
    return validate(_changed(plain, changes or {}))


def validate(plain: Mapping[str, Any]) -> Recipe:
    """Make a recipe of plain values, or say in one line a field what is wrong."""
    try:
        return Recipe.model_validate(plain)
    except ValidationError as error:
        raise UsageError(f"recipe {plain.get('recipe', '')!r}: {_explain(error.errors())}") from error


def parse_changes(settings: Iterable[str]) -> dict[str, Any]:
    """Read ``field=value`` texts; values are YAML (``[0, 1, 2]``, ``0.3``, ``val``)."""
    changes = {}
    for text in settings:
        field, equals, value = text.partition("=")
        if not equals or not field:
            raise UsageError(f"--set takes field=value, such as head.dropout=0.3; found {text!r}")
        try:
            changes[field.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UsageError(f"--set {text}: the value is not YAML ({error})") from error
    return changes


def _changed(plain: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    result = {**plain, **{key: dict(value) for key, value in plain.items() if isinstance(value, dict)}}
    for dotted, value in changes.items():
        field, dot, inner = dotted.partition(".")
        if field not in Recipe.model_fields:
            raise unknown("recipe field", field, Recipe.model_fields)
        if not dot:
            result[field] = value
        elif isinstance(result.get(field), dict):
            result[field][inner] = value
        else:
            more = "; start from one that has them: `unheard recipes ravdess-hubert-base`" if inner else ""
            raise UsageError(f"--set {dotted}: the field {field!r} of this recipe holds no settings{more}")
    return result


def _explain(errors: Iterable[Any]) -> str:
    lines = []
    for error in errors:
        field = ".".join(str(part) for part in error["loc"])
        cause = (error.get("ctx") or {}).get("error")
        message = str(cause) if isinstance(cause, UnheardError | ValueError) else error["msg"]
        # What is missing has no value, and pydantic gives the whole recipe for it.
        found = "" if cause or error["type"] == "missing" else f" (found {error['input']!r})"
        lines.append((f"{field}: " if field else "") + message + found)
    return "; ".join(lines)
