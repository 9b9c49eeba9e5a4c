"""Change of sampling rate with soxr (quality ``VHQ``), for a whole waveform or one that arrives in blocks."""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

RATE = 16_000  # Hz, what every feature and every network of this package hears
QUALITY = "VHQ"

Wave = NDArray[np.float32]


def to_rate(wave: Wave, rate: float, target: float = RATE) -> Wave:
    """Resample a mono waveform.

    Parameters
    ----------
    wave : (n,) float32 at ``rate`` Hz.
    rate, target : Hz.

    Returns
    -------
    (round(n · target / rate),) float32. The waveform itself where the rates are equal.
    """
    samples = np.asarray(wave, dtype=np.float32)
    if rate == target or len(samples) == 0:
        return samples
    out: Wave = soxr.resample(samples, rate, target, quality=QUALITY)
    return out


class Resampler:
    """Resampling of a mono waveform that arrives in blocks; all blocks together equal ``to_rate`` of the whole."""

    def __init__(self, rate: float, target: float = RATE) -> None:
        self._stream = (
            None if rate == target else soxr.ResampleStream(rate, target, 1, dtype="float32", quality=QUALITY)
        )

    def add(self, block: Wave) -> Wave:
        """Return what is ready after this block."""
        return block if self._stream is None else self._stream.resample_chunk(block, last=False)

    def end(self) -> Wave:
        """Return what is left after the last block."""
        nothing = np.empty(0, dtype=np.float32)
        return nothing if self._stream is None else self._stream.resample_chunk(nothing, last=True)
