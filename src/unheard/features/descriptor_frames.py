"""Our low-level descriptors as frames: what our functionals are statistics of, for networks over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from unheard.audio.resample import RATE
from unheard.errors import UsageError
from unheard.features.contract import Spec
from unheard.features.descriptors import NAMES, describe
from unheard.settings import check


@dataclass(frozen=True)
class DescriptorFrames(Spec):
    """Level, spectrum, harmonics, pitch and cepstrum of ``unheard.features.descriptors``, (frames, dims) float32.

    The last dimension is 1 where the vocal folds swing, else 0. No dimension depends on the gain of the recording.

    Parameters
    ----------
    hop : seconds from frame to frame, 0.01 or 0.02.
    """

    hop: float = 0.01

    name: ClassVar[str] = "descriptors"
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check(self, "descriptors")
        if self.hop not in (0.01, 0.02):
            raise UsageError(f"descriptors hop is {self.hop}; expected 0.01 or 0.02 seconds")

    def compute(self, wave: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (frames, dims) of a waveform at 16 kHz, full scale ±1."""
        found = describe(wave, round(self.hop * RATE))
        return np.column_stack([found.values, found.voiced]).astype(np.float32)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the dimensions."""
        return (*NAMES, "voiced")

    @property
    def frames_per_second(self) -> float:
        """Frames a second."""
        return 1 / self.hop
