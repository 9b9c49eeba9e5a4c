"""One named input of a recipe: what computes it, how it is kept, and how training clips are augmented."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_serializer, model_validator

from unheard import encoders, features
from unheard.adaptation.profile import Priors
from unheard.audio.conditions import RATIOS
from unheard.audio.noise import KINDS, Change, Kind


class Storage(BaseModel):
    """How an encoder's frames are kept between runs (docs/store.md)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["float32", "float16", "int8"] | None = None
    average: int = Field(default=1, ge=1, le=100)


class Speed(BaseModel):
    """Training clips at another speed and pitch, as of another voice."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    speed: float


class Noisy(BaseModel):
    """Training clips in noise, and the range of its ratio in dB, the smallest first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    noise: Kind
    snr: tuple[float, float]


class Changed(BaseModel):
    """Training clips in rooms, through codecs, overdriven or at other levels, and the range of the level."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    condition: Change
    level: tuple[float, float]


class Adapt(BaseModel):
    """Features standardised by what is usual of their speaker (docs/adaptation.md).

    Parameters
    ----------
    mean_prior, variance_prior
        Weight of the training speakers against the known clips of a speaker, as a number of clips, for the mean
        and for the variance.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mean_prior: float = Field(default=Priors.mean_prior, ge=0.01, le=1000)
    variance_prior: float = Field(default=Priors.variance_prior, ge=0.01, le=1000)

    @property
    def priors(self) -> Priors:
        """The same for computing."""
        return Priors(self.mean_prior, self.variance_prior)


class Input(BaseModel):
    """What computes an input, an ``encoder`` or ``features``, and what becomes of it.

    Parameters
    ----------
    encoder
        Settings of a pretrained encoder (``unheard.encoders``).
    features
        Settings of features (``unheard.features``).
    layer
        For heads on the frames of one layer of the encoder: its number, ``last`` (the default), or ``salient``,
        chosen in each fold on its training speakers.
    storage
        How the frames are kept.
    augment
        What is done to the waveforms of training clips; each augmentation gives every clip once more.
    adapt
        How the features are standardised by their speaker; None: they are not.
    context
        Of an input of words: how many turns of the dialogue before a clip's own are read with it.
    transcript
        Of an input of words: the ``owner``'s text, or what a speech recogniser heard (``unheard transcribe``).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    encoder: dict[str, Any] | None = None
    features: dict[str, Any] | None = None
    layer: int | Literal["last", "salient"] | None = None
    storage: Storage | None = None
    augment: tuple[Speed | Noisy | Changed, ...] = ()
    adapt: Adapt | None = None
    context: int = Field(default=0, ge=0, le=100)
    transcript: Literal["owner", "recognized"] = "owner"

    @field_validator("encoder")
    @classmethod
    def _encoder_exists(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        return None if value is None else encoders.checked(value)

    @field_validator("features")
    @classmethod
    def _features_exist(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        return None if value is None else features.build(value).settings

    @field_validator("augment", mode="before")
    @classmethod
    def _augmentations_are_known(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple) or not all(_is_augmentation(one) for one in value):
            raise ValueError(
                "an augmentation is a speed from 0.5 to 2 without 1, such as {speed: 0.9}, or a noise "
                f"({', '.join(get_args(Kind))}) and a range in dB, the smallest first, within {RATIOS[0]} to "
                f"{RATIOS[1]}, such as {{noise: coloured, snr: [0, 20]}}, or another condition "
                f"({', '.join(get_args(Change))}) and a range of its level, such as {{condition: room, "
                f"level: [0.3, 0.9]}} (found {value!r})"
            )
        speeds = [one["speed"] for one in value if isinstance(one, Mapping) and "speed" in one]
        if len(set(speeds)) < len(speeds):
            raise ValueError(f"the same speed stands twice in {speeds}")
        return value

    @model_validator(mode="after")
    def _parts_fit(self) -> Input:
        if (self.features is None) == (self.encoder is None):
            raise ValueError("an input has either features or an encoder")
        if self.encoder is None:
            for name in ("layer", "storage"):
                if getattr(self, name) is not None:
                    raise ValueError(f"{name} belongs to an input with an encoder")
        if self.augment and (self.features or {}).get("name") == "precomputed":
            raise ValueError("augment changes waveforms, and precomputed features have none")
        if self.medium == "text" and self.augment:
            raise ValueError("augment changes waveforms, and words have none")
        for name in ("context", "transcript"):
            if self.medium not in ("text", None) and getattr(self, name) not in (0, "owner"):
                raise ValueError(f"{name} is for words, and {self.name} takes {self.medium}")
        return self

    @model_serializer(mode="wrap")
    def _said(self, handler: Any) -> dict[str, Any]:
        """Leave out what the input does not have."""
        return {
            name: value for name, value in handler(self).items() if value not in (None, [], (), 0, "owner")
        }

    @property
    def name(self) -> str:
        """Name of the encoder or of the features."""
        return str((self.encoder or self.features or {})["name"])

    @property
    def medium(self) -> str | None:
        """Name of the medium that it takes; None where that depends on a model that is not read yet."""
        if self.encoder is not None:
            return encoders.LazyEncoder(self.encoder).medium
        return features.build(self.features or {}).medium

    @property
    def random_weights(self) -> bool:
        """Whether its encoder has learned nothing."""
        return self.encoder is not None and encoders.is_random(self.encoder)

    @property
    def chosen(self) -> dict[str, Any]:
        """What differs from the defaults, and the version of the code that computes, for the recipe's digest."""
        plain: dict[str, Any] = self.model_dump(mode="json", exclude_defaults=True)
        if self.encoder is not None:
            plain |= {"encoder": encoders.chosen(self.encoder), "version": encoders.version(self.encoder)}
        if self.features is not None:
            spec = features.build(self.features)
            plain |= {"features": spec.chosen, "version": spec.code_version}
        return plain


def _is_augmentation(value: Any) -> bool:
    if isinstance(value, Speed | Noisy | Changed):
        return True
    if not isinstance(value, Mapping):
        return False
    if set(value) == {"speed"}:
        speed = value["speed"]
        return isinstance(speed, int | float) and 0.5 <= speed <= 2 and speed != 1
    if set(value) == {"condition", "level"} and value["condition"] in get_args(Change):
        level = KINDS[value["condition"]]
        return level is not None and _is_range(value["level"], level.low, level.high)
    return (
        set(value) == {"noise", "snr"}
        and value["noise"] in get_args(Kind)
        and _is_range(value["snr"], *RATIOS)
    )


def _is_range(value: Any, low: float, high: float) -> bool:
    numbers = isinstance(value, list | tuple) and all(isinstance(number, int | float) for number in value)
    return numbers and len(value) == 2 and low <= value[0] <= value[1] <= high
