"""Features by name: settings become a spec that computes them, and a spec becomes settings and a digest again.

Every spec that works on a waveform takes one key more, ``trim``: by which decibels silence is cut off both ends of
a recording first (``unheard.audio.trim``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard.audio.trim import Cut, limits, trim
from unheard.errors import unknown
from unheard.features.contract import Spec
from unheard.inputs import Source
from unheard.settings import construct, differing, identity, plain, resolve

#: Module and class behind each name.
SPECS = {
    "logmel": ("unheard.features.logmel", "LogMel"),
    "mfbf0": ("unheard.features.mfbf0", "MFBF0"),
    "functionals": ("unheard.features.functionals", "Functionals"),
    "egemaps": ("unheard.features.opensmile", "EGeMAPS"),
    "compare": ("unheard.features.opensmile", "ComParE"),
    "precomputed": ("unheard.features.precomputed", "Precomputed"),
}


@dataclass(frozen=True)
class Trimmed(Spec):
    """A spec applied to what is left of a recording without the silence at its ends.

    Parameters
    ----------
    spec : what computes.
    decibels : below the loudest frame, or these and decibels above the noise.
    """

    spec: Spec
    decibels: Cut

    def __post_init__(self) -> None:
        limits(self.decibels)

    @property
    def version(self) -> int | str:
        """Return the version of the spec."""
        return self.spec.version

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the dimensions."""
        return self.spec.names

    @property
    def frames_per_second(self) -> float | None:
        """Frames a second, ``None`` where there is one row a recording."""
        return self.spec.frames_per_second

    @property
    def source(self) -> Source:
        """Return the licence and origin of the spec."""
        return self.spec.source

    def compute(self, wave: NDArray[np.float32]) -> NDArray[np.float32]:
        """Trim a waveform, then compute its features."""
        return self.spec.compute(trim(wave, self.decibels))


def build(settings: Mapping[str, Any]) -> Spec:
    """Return the spec that settings describe.

    Parameters
    ----------
    settings : ``{"name": "functionals", "trim": 40}``; what is not said takes its default.

    Raises
    ------
    UsageError
        Where a name or key is unknown or a value is of the wrong kind or out of bounds.
    """
    maker = resolve(SPECS, settings, "features")
    trimmed = {} if settings["name"] == "precomputed" else {"trim"}
    given = {key: value for key, value in settings.items() if key not in trimmed}
    spec: Spec = construct(maker, given, "features", more=trimmed)
    decibels = settings.get("trim")
    if decibels is None:
        return spec
    below, above = limits(decibels)
    return Trimmed(spec, below if above is None else [below, above])


def settings(spec: Spec) -> dict[str, Any]:
    """Return the settings of a spec in full, defaults included, in plain values; ``build`` makes it again."""
    inner, decibels = (spec.spec, spec.decibels) if isinstance(spec, Trimmed) else (spec, None)
    name = _name(inner)
    trimmed = {} if name == "precomputed" else {"trim": decibels}
    return {"name": name, **trimmed, **plain(inner)}


def spec_hash(spec: Spec) -> str:
    """SHA-256 over the settings that differ from their defaults and the version of what computes, in hexadecimal.

    Where precomputed features lie does not matter; their content does, and is part of their settings.
    """
    return identity(chosen(spec), spec.version)


def chosen(spec: Spec) -> dict[str, Any]:
    """Return the name of a spec and the settings that differ from their defaults, in plain values."""
    inner, decibels = (spec.spec, spec.decibels) if isinstance(spec, Trimmed) else (spec, None)
    trimmed = {} if decibels is None else {"trim": decibels}
    return {"name": _name(inner), **trimmed, **differing(inner)}


def _name(spec: Spec) -> str:
    own = (type(spec).__module__, type(spec).__qualname__)
    for name, place in SPECS.items():
        if place == own:
            return name
    raise unknown("spec", own[1], [attribute for _, attribute in SPECS.values()])
