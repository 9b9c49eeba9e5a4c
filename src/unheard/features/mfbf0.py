"""MFBF0: mel filterbank energies with pitch, the small front end that large encoders are compared with.

After the MFBF0 baseline of arXiv 2503.22711, which states neither filters nor pitch tracker: those are our
choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from unheard.audio.resample import RATE
from unheard.errors import UsageError
from unheard.features.contract import Spec
from unheard.features.frames import checked, frames
from unheard.features.logmel import LogMel
from unheard.features.pitch import HOP, track
from unheard.settings import OneOf, Within, check

LENGTH = round(0.025 * RATE)


@dataclass(frozen=True)
class MFBF0(Spec):
    """Log-mel energies, log F0, voicing and energy, (frames, bands + 4) float32.

    The dimensions are ``mel00`` … (Kaldi's log-mel, natural logarithm), ``log_f0`` (natural logarithm of Hz),
    ``voicing`` (periodic part of the power, 0 … 1), ``voiced`` (1 or 0; under ``average`` the share of voiced
    frames) and ``energy`` (natural logarithm of the mean square). Before averaging, frame t is centred on
    (t + ½)·10 ms.

    Parameters
    ----------
    bands : mel bands between 20 and 8000 Hz.
    f0_low, f0_high : range of the pitch tracker, Hz.
    unvoiced : ``interpolate`` draws log F0 on straight lines over unvoiced frames; ``zero`` writes 0 there.
    average : number of consecutive frames that make one (4: 25 frames a second); the last averages what is left.
    """

    bands: int = 40
    f0_low: float = 60.0
    f0_high: float = 650.0
    unvoiced: Annotated[str, OneOf("interpolate", "zero")] = "interpolate"
    average: Annotated[int, Within(1, 10_000)] = 1

    name: ClassVar[str] = "mfbf0"
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check(self, "mfbf0")
        if not 40 <= self.f0_low < self.f0_high / 2 <= 1000:
            raise UsageError(
                "mfbf0 f0_low and f0_high must be 40 Hz or more, 2000 Hz or less and an octave apart: "
                f"found {self.f0_low:g} and {self.f0_high:g}"
            )
        LogMel(bands=self.bands)

    def compute(self, wave: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (frames, bands + 4) of a waveform at 16 kHz, full scale ±1."""
        samples = checked(wave)
        mel = LogMel(bands=self.bands, edges="mirror").compute(wave)
        pitch = track(samples, self.f0_low, self.f0_high)
        cut = frames(samples, LENGTH, HOP)
        energy = np.log(np.einsum("ij,ij->i", cut, cut) / LENGTH + 1e-10)
        table = np.column_stack([mel, pitch.log_f0(), pitch.strength, pitch.voiced, energy])
        table = _averaged(table, self.average)
        if self.unvoiced == "zero":
            table[table[:, -2] < 0.5, -4] = 0.0
        return table.astype(np.float32)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the dimensions."""
        return (*(f"mel{band:02d}" for band in range(self.bands)), "log_f0", "voicing", "voiced", "energy")

    @property
    def frames_per_second(self) -> float:
        """Frames a second, after averaging."""
        return RATE / HOP / self.average


def _averaged(table: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Average ``count`` consecutive rows; the last row averages what is left."""
    if count == 1:
        return table
    starts = np.arange(0, len(table), count)
    sizes = np.diff(np.append(starts, len(table)))
    means: NDArray[np.float64] = np.add.reduceat(table, starts, axis=0) / sizes[:, None]
    return means
