"""Frontends of networks, by name: what turns a waveform into the frames that a network was trained on.

A frontend is a frozen dataclass of plain values that works at its own ``rate``. Unlike a spec (``spec``), it need
not be a feature that anyone learns from, and it need not be at 16 kHz.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from unheard.settings import construct, plain, resolve

#: Module and class behind each name.
FRONTENDS = {
    "logmel": ("unheard.features.logmel", "LogMel"),
    "efficientat": ("unheard.features.efficientat", "EfficientATMel"),
    "whisper": ("unheard.features.whisper", "WhisperMel"),
}


class Frontend(Protocol):
    """What a network takes in place of the waveform."""

    @property
    def rate(self) -> int:
        """Hz of the waveforms that it takes."""
        ...

    @property
    def version(self) -> int | str:
        """Version of the code that computes."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the dimensions, in order."""
        ...

    @property
    def frames_per_second(self) -> float:
        """Return the number of frames a second."""
        ...

    def count(self, samples: int) -> int:
        """Return the number of frames of so many samples."""
        ...

    def compute(self, wave: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (frames, dims) float32 of a waveform (n,) at :attr:`rate`, full scale ±1."""
        ...


def build_frontend(settings: Mapping[str, Any]) -> Frontend:
    """Return the frontend that plain settings describe, such as ``{"name": "logmel", "window": "hamming"}``.

    Raises
    ------
    UsageError
        Where a name or key is unknown or a value is of the wrong kind or out of bounds.
    """
    made: Frontend = construct(resolve(FRONTENDS, settings, "frontend"), settings, "frontend")
    return made


def frontend_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a frontend in full, defaults included; ``build_frontend`` makes it again."""
    return {"name": settings["name"], **plain(build_frontend(settings))}
