"""A recipe: the complete statement of a system, flat, without inheritance, validated whole before any work.

Recipes of the package are YAML files in ``unheard/recipes``; one of your own is named by its path.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from unheard import encoders, features, heads, tuning
from unheard.bundle.schema import INPUT_NAME
from unheard.corpora.table import DIMENSIONS
from unheard.errors import UnheardError, UsageError, about, unknown
from unheard.formats import yaml_text
from unheard.inputs import Form
from unheard.recipes.changes import changed, differences
from unheard.recipes.input_settings import Input
from unheard.recipes.old_recipe import modern
from unheard.settings import identity, named

#: Version of what a recipe means; another one gives the same settings another hash.
VERSION = 2


class Published(BaseModel):
    """A figure from a publication to compare ours with, as published: shares in percent, CCC as it is.

    ``ccc`` is the mean over dimensions.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    system: str
    protocol: str
    train_speakers: int
    accuracy: float | None = None
    uar: float | None = None
    macro_f1: float | None = None
    weighted_f1: float | None = None
    ccc: float | None = None
    activation_ccc: float | None = None
    valence_ccc: float | None = None
    dominance_ccc: float | None = None
    source: str


class Wanted(BaseModel):
    """What a system predicts: classes, and dimensions.

    Classes are learned from the labels of the table, from the ``majority`` of the graders, or from the shares of
    their votes, of which ``smoothing`` moves a part to the other classes (:class:`~unheard.targets.Target`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    classes: Literal["label", "majority", "votes", "none"] = "label"
    dimensions: tuple[str, ...] = ()
    smoothing: float = Field(default=0.0, ge=0, lt=0.5)

    @model_validator(mode="after")
    def _something_is_asked(self) -> Wanted:
        for name in self.dimensions:
            if name not in DIMENSIONS:
                raise unknown("dimension", name, DIMENSIONS)
        if self.classes == "none" and not self.dimensions:
            raise ValueError("a target has classes, dimensions or both; with classes: none name dimensions")
        if len(set(self.dimensions)) < len(self.dimensions):
            raise ValueError(f"the same dimension stands twice in {list(self.dimensions)}")
        if self.smoothing and self.classes != "votes":
            raise ValueError(f"smoothing is for classes: votes, and classes is {self.classes}")
        return self


class Recipe(BaseModel):
    """What a run does (docs/recipes.md); every field is recorded.

    Each of the ``inputs`` has ``features`` or an ``encoder``; the ``head`` learns the ``target`` from them. Of an
    encoder it gets what it asks for: pooled statistics of all layers, all frames of one layer, or all frames of
    all layers. With ``training`` the encoder is tuned together with the head, from waveforms. ``recipe``,
    ``about``, ``corpus``, ``protocol``, ``seeds``, ``labels``, ``held_back``, ``published`` and ``changed`` decide
    nothing about a fold's model; all other fields make the settings hash. ``changed`` is filled by :func:`load`:
    the fields that were changed, each with what the named recipe has there.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipe: str
    about: str
    corpus: str | None = None
    protocol: str
    labels: str | None = None
    inputs: dict[str, Input] = Field(min_length=1)
    target: Wanted = Wanted()
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
    changed: dict[str, Any] = {}

    @field_validator("inputs")
    @classmethod
    def _names_are_words(cls, value: dict[str, Input]) -> dict[str, Input]:
        odd = [name for name in value if not INPUT_NAME.fullmatch(name)]
        if odd:
            raise ValueError(
                f"an input is called by a word of small letters other than model, such as voice; found {odd[0]!r}"
            )
        return value

    @field_validator("training")
    @classmethod
    def _training_exists(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        return None if value is None else tuning.checked(value)

    @field_validator("head")
    @classmethod
    def _head_exists(cls, value: dict[str, Any]) -> dict[str, Any]:
        full = heads.build(value).settings()
        return {key: item for key, item in full.items() if key not in ("seed", "threads")}

    @field_validator("seeds")
    @classmethod
    def _seeds_differ(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(value)) < len(value):
            raise ValueError("the same seed stands twice")
        return value

    @model_validator(mode="after")
    def _parts_fit(self) -> Recipe:
        for name in self.inputs:
            if not self.heads_of(name):
                raise ValueError(f"inputs.{name}: no head takes it")
        heads.build(self.head).check_target(self.target.classes, self.target.dimensions)
        counts = {len(own.augment) for own in self.inputs.values()}
        if len(counts) > 1 or len({own.augment for own in self.inputs.values()}) > 1:
            raise ValueError("all inputs are augmented alike: give each the same augment")
        if self.training is None:
            for name, own in self.inputs.items():
                self._check_form(name, own)
                self._check_repeats(name, own)
        else:
            self._check_training()
        return self

    def heads_of(self, name: str) -> list[heads.Head]:
        """Return the unfitted heads that take an input: the recipe's head, or some of those in an ensemble.

        Raises
        ------
        UsageError
            A head names an input that the recipe lacks, or none where there are several.
        """
        takers = []
        for settings in self.head.get("of", (self.head,)):
            for taken in settings.get("inputs") or [settings.get("input") or self._only(settings["name"])]:
                if taken not in self.inputs:
                    raise unknown(f"input of the head {settings['name']!r}", taken, self.inputs)
                if taken == name:
                    takers.append(heads.build(settings))
        return takers

    def form(self, name: str) -> Form:
        """Return the form of an input of an encoder: the richest that its heads ask for."""
        asked = {head.form for head in self.heads_of(name)}
        if Form.LAYERS in asked:
            return Form.LAYERS
        return Form.FRAMES if Form.FRAMES in asked or self._ensemble_on_frames(name) else Form.POOLED

    @property
    def takes_missing(self) -> bool:
        """Whether its head answers clips that lack an input from the others."""
        return bool(self.head.get("missing", False))

    @property
    def random_weights(self) -> bool:
        """Whether one of its encoders has learned nothing."""
        return any(own.random_weights for own in self.inputs.values())

    @property
    def settings_hash(self) -> str:
        """SHA-256 of what decides a fold's model, as far as it differs from the defaults."""
        decides = ("target", "calibration", "refit", "channel", "allow_truncated", "threads")
        decided = {
            "inputs": {name: own.chosen for name, own in self.inputs.items()},
            "head": named(self.head, heads.build(self.head)),
            **self.model_dump(mode="json", include=set(decides), exclude_defaults=True),
        }
        if self.training is not None:
            decided["training"] = tuning.chosen(self.training)
        return identity(decided, VERSION)

    def changes(self) -> list[str]:
        """Return what was changed of the named recipe, as ``head.dropout=0.3 (the recipe has 0.1)``.

        Of a path on this machine the last part is said, since results and bundles are shared.
        """
        plain = self.plain()
        said = []
        for field, before in self.changed.items():
            now: Any = plain
            for part in field.split("."):
                now = now.get(part) if isinstance(now, dict) else None
            if isinstance(now, str) and Path(now).is_absolute():
                now = Path(now).name
            own = "" if before is None else f" (the recipe has {before})"
            said.append(f"{field}={now}{own}")
        return said

    def plain(self) -> dict[str, Any]:
        """Return plain values in the order of the fields, for YAML and JSON."""
        return self.model_dump(mode="json")

    def with_input(self, name: str, **changes: Any) -> Recipe:
        """Return the recipe with some fields of one input changed; they are not checked again."""
        own = self.inputs[name].model_copy(update=changes)
        return self.model_copy(update={"inputs": {**self.inputs, name: own}})

    def encoder_input(self) -> str:
        """Return the name of the one input that has an encoder.

        Raises
        ------
        UsageError
            None has one, or several have.
        """
        found = [name for name, own in self.inputs.items() if own.encoder is not None]
        if not found:
            raise UsageError(f"recipe {self.recipe} has no encoder, so there are no layers to look at")
        if len(found) > 1:
            raise UsageError(f"recipe {self.recipe} has encoders in {', '.join(found)}; one is meant")
        return found[0]

    def with_weights_at(self, weights: str | None) -> Recipe:
        """Return the recipe with the weights of its one encoder read from another place; None changes nothing."""
        if weights is None:
            return self
        name = self.encoder_input()
        return self.with_input(name, encoder={**(self.inputs[name].encoder or {}), "model": weights})

    def _only(self, head: str) -> str:
        if len(self.inputs) > 1:
            raise UsageError(
                f"the head {head!r} takes one input, and there are {len(self.inputs)}: {', '.join(self.inputs)}; "
                "name one with head.input"
            )
        return next(iter(self.inputs))

    def _ensemble_on_frames(self, name: str) -> bool:
        """Return whether heads that can do with statistics are to take them over the frames of one layer."""
        return "of" in self.head and self.inputs[name].layer is not None

    def _check_form(self, name: str, own: Input) -> None:
        form, head = self.form(name), self.head["name"]
        if own.encoder is None:
            if form is Form.LAYERS:
                raise ValueError(f"the head {head!r} learns from all layers of an encoder")
            self._check_features(name, own)
            return
        if own.layer is not None and form is not Form.FRAMES:
            raise ValueError(f"layer is for heads on the frames of one layer, not {head!r}")
        if own.augment and form is Form.LAYERS:
            raise ValueError(
                f"augment is for heads on one layer or on statistics of a frozen encoder, not {head!r}"
            )

    def _check_features(self, name: str, own: Input) -> None:
        """Refuse features with one row a clip for a head over frames; those of a file are seen when it is read."""
        if own.name == "precomputed" or features.build(own.features or {}).frames_per_second is not None:
            return
        for head in self.heads_of(name):
            if head.form is Form.FRAMES and not getattr(head, "takes_rows", False):
                raise ValueError(
                    f"the head {head.name!r} learns from frames, and {own.name} have one row a clip; take "
                    "features such as mfbf0 or logmel, or the head probe"
                )

    def _check_repeats(self, name: str, own: Input) -> None:
        """A clip reaches the head several times: augmented, and under draws of what is known of its speaker."""
        if own.adapt is None and not own.augment:
            return
        heads = list(self.heads_of(name))
        once = [head for head in heads if not getattr(head, "augmented", True)]
        if once and (own.adapt is not None or len(once) == len(heads)):
            what = "augment" if own.adapt is None else "adapt"
            raise ValueError(
                f"inputs.{name}.{what} needs a head that learns from each clip more than once: set "
                f"head.augmented=true (augmented: true of the head {once[0].name!r})"
            )

    def _check_training(self) -> None:
        ((name, own), *others) = self.inputs.items()
        if others or own.encoder is None:
            raise ValueError("training tunes an encoder: it belongs to a recipe with one input that has one")
        if own.adapt is not None:
            raise ValueError(
                f"inputs.{name}.adapt is for frozen encoders and features; with training leave it out"
            )
        for field in ("layer", "storage"):
            if getattr(own, field) is not None:
                raise ValueError(
                    f"inputs.{name}.{field} is for frozen encoders; with training leave it out"
                    + (" and take training.layer" if field == "layer" else "")
                )
        if own.augment:
            raise ValueError(f"inputs.{name}.augment is for frozen encoders; take training.augment")
        if own.encoder["name"] not in encoders.tunable():
            raise ValueError(
                f"the encoder {own.encoder['name']!r} has no layers that can be tuned; leave training out, or "
                f"take one of {', '.join(encoders.tunable())}"
            )


def names() -> list[str]:
    """Return the names of the recipes in the package."""
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
        Dotted field to value, such as ``{"head.dropout": 0.3, "refit": "val"}`` (``unheard.recipes.changes``).

    Raises
    ------
    UsageError
        Unknown recipe or field, or a value that does not fit; the field is named.
    """
    given = str(name)
    if given.endswith((".yaml", ".yml")):
        plain = yaml_text.read(given, UsageError)
    elif given in names():
        plain = yaml_text.parse(files("unheard").joinpath("recipes", f"{given}.yaml").read_bytes(), given)
    else:
        raise unknown("recipe", given, names())
    if not isinstance(plain, dict):
        raise UsageError(f"{given}: a recipe is a mapping of fields")
    with about(given):
        before = modern(plain)
        after = changed(before, changes or {}, list(Recipe.model_fields))
        after["changed"] = {**differences(before, after), **(before.get("changed") or {})}
        return validate(after)


def validate(plain: Mapping[str, Any]) -> Recipe:
    """Make a recipe of plain values, or say in one line a field what is wrong."""
    try:
        return Recipe.model_validate(modern(plain))
    except ValidationError as error:
        raise UsageError(f"recipe {plain.get('recipe', '')!r}: {_explain(error.errors())}") from error


#: Plain words for what pydantic says in terms of Python.
_PLAIN = {
    "model_type": "expected a mapping of fields",
    "dict_type": "expected a mapping of fields",
    "tuple_type": "expected a list",
    "model_attributes_type": "expected a mapping of fields",
}


def _explain(errors: Iterable[Any]) -> str:
    lines = []
    for error in errors:
        field = ".".join(str(part) for part in error["loc"])
        cause = (error.get("ctx") or {}).get("error")
        message = (
            str(cause)
            if isinstance(cause, UnheardError | ValueError)
            else _PLAIN.get(error["type"], error["msg"])
        )
        # What is missing has no value, and pydantic gives the whole recipe for it.
        found = "" if cause or error["type"] == "missing" else f" (found {repr(error['input'])[:200]})"
        if error["type"] == "tuple_type" and isinstance(error["input"], str):
            found = f", such as [{error['input'][:200]}]{found}"
        lines.append((f"{field}: " if field else "") + message + found)
    return "; ".join(lines)
