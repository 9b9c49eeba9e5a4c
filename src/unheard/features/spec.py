"""Features by name: settings become a spec that computes them.

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
from unheard.features.contract import Spec
from unheard.inputs import Source
from unheard.settings import construct, resolve

#: Module and class behind each name.
SPECS = {
    "logmel": ("unheard.features.logmel", "LogMel"),
    "mfbf0": ("unheard.features.mfbf0", "MFBF0"),
    "mfcc": ("unheard.features.mfcc", "MFCC"),
    "descriptors": ("unheard.features.descriptor_frames", "DescriptorFrames"),
    "waveform": ("unheard.features.waveform", "Waveform"),
    "functionals": ("unheard.features.functionals", "Functionals"),
    "egemaps": ("unheard.features.opensmile", "EGeMAPS"),
    "compare": ("unheard.features.opensmile", "ComParE"),
    "egemaps_lld": ("unheard.features.opensmile", "EGeMAPSFrames"),
    "compare_lld": ("unheard.features.opensmile", "ComParEFrames"),
    "precomputed": ("unheard.features.precomputed", "Precomputed"),
    "openface": ("unheard.features.openface", "OpenFace"),
    "terms": ("unheard.features.terms", "Terms"),
    "blendshapes": ("unheard.features.blendshapes", "Blendshapes"),
}


@dataclass(frozen=True)
class Trimmed(Spec):
    """A spec applied to what is left of a recording without the silence at its ends.

    Parameters
    ----------
    spec
        What computes.
    decibels
        Below the loudest frame, or these and decibels above the noise.
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
    def code_version(self) -> int | str:
        """Return the version of the spec's own code."""
        return self.spec.code_version

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

    @property
    def settings(self) -> dict[str, Any]:
        """Plain settings in full, the decibels as ``trim``."""
        return {**self.spec.settings, "trim": self.decibels}

    @property
    def chosen(self) -> dict[str, Any]:
        """Name and settings that differ from their defaults."""
        return {**self.spec.chosen, "trim": self.decibels}

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
    trimmed = {"trim"} if maker.medium == "audio" else set()
    given = {key: value for key, value in settings.items() if key not in trimmed}
    spec: Spec = construct(maker, given, "features", more=trimmed)
    decibels = settings.get("trim")
    if decibels is None:
        return spec
    below, above = limits(decibels)
    return Trimmed(spec, below if above is None else [below, above])
