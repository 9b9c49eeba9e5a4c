"""The waveform itself, for networks that learn from samples: a row every 10 ms holds the samples of these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from unheard.audio.resample import RATE
from unheard.features.contract import Spec
from unheard.features.frames import checked
from unheard.features.pitch import HOP


@dataclass(frozen=True)
class Waveform(Spec):
    """Samples at 16 kHz, (frames, 160) float32: frame t holds samples 160 t … 160 t + 159.

    The last frame is filled up with zeros. So a waveform is kept, cut and put into batches as all frames are.
    """

    name: ClassVar[str] = "waveform"
    version: ClassVar[int] = 1

    def compute(self, wave: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (frames, 160) of a waveform at 16 kHz, full scale ±1."""
        samples = checked(wave)
        missing = -len(samples) % HOP if len(samples) else HOP
        return np.pad(samples, (0, missing)).reshape(-1, HOP).astype(np.float32)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the dimensions."""
        return tuple(f"sample{k:03d}" for k in range(HOP))

    @property
    def frames_per_second(self) -> float:
        """Frames a second."""
        return RATE / HOP
