"""Mel-frequency cepstral coefficients, with their changes over time: the classical frames of speech.

c_k = Σ_b s_b cos(π k (b + ½) / B), the orthonormal cosine transform (DCT-II) of the log-mel spectrum s of
``logmel`` (Davis and Mermelstein 1980). Changes are slopes over five frames, Δ_t = Σ_n n (c_{t+n} - c_{t-n}) / 10
with n = 1, 2; beyond the ends the first and the last frame are repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from unheard.audio.resample import RATE
from unheard.errors import UsageError
from unheard.features.contract import Spec
from unheard.features.logmel import LogMel
from unheard.features.pitch import HOP
from unheard.settings import Within, check

Array = NDArray[np.float64]


@dataclass(frozen=True)
class MFCC(Spec):
    """Cepstral coefficients 0 … and their changes, (frames, count · (1 + deltas)) float32, 100 frames a second.

    Parameters
    ----------
    count : coefficients, the zeroth (the level) among them.
    bands : mel bands of the spectrum that they are made of, 20 to 8000 Hz.
    deltas : how often changes are taken: 0, 1, or 2 for the changes of changes, too.
    """

    count: Annotated[int, Within(1, 128)] = 13
    bands: Annotated[int, Within(1, 128)] = 40
    deltas: Annotated[int, Within(0, 2)] = 2

    name: ClassVar[str] = "mfcc"
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check(self, "mfcc")
        if self.count > self.bands:
            raise UsageError(f"mfcc count: {self.count} coefficients are more than the {self.bands} bands")

    def compute(self, wave: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (frames, dims) of a waveform at 16 kHz, full scale ±1."""
        logs = LogMel(bands=self.bands, edges="mirror").compute(wave).astype(np.float64)
        parts = [logs @ _cosines(self.count, self.bands)]
        for _ in range(self.deltas):
            parts.append(_slopes(parts[-1]))
        return np.hstack(parts).astype(np.float32)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the dimensions."""
        return tuple(
            f"{'delta_' * order}mfcc{k:02d}" for order in range(self.deltas + 1) for k in range(self.count)
        )

    @property
    def frames_per_second(self) -> float:
        """Frames a second."""
        return RATE / HOP


def _cosines(count: int, bands: int) -> Array:
    """Return the first columns of the orthonormal DCT-II, (bands, count)."""
    angles = np.pi / bands * np.outer(np.arange(bands) + 0.5, np.arange(count))
    waves: Array = np.cos(angles) * np.sqrt(2.0 / bands)
    waves[:, 0] /= np.sqrt(2.0)
    return waves


def _slopes(values: Array) -> Array:
    """Return the slope of each column over five frames around each, (frames, dims)."""
    around = np.pad(values, ((2, 2), (0, 0)), mode="edge")
    slopes: Array = (around[3:-1] - around[1:-3] + 2 * (around[4:] - around[:-4])) / 10
    return slopes
