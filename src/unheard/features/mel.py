"""Mel filterbanks: from the power spectrum of a frame to energies in bands that are even on the mel scale.

Two scales (``htk``, which is also Kaldi's, and ``slaney``), two shapes of triangle (straight over ``hertz``
as in librosa, or over ``mel`` as in Kaldi), and an optional norm of equal area over hertz (``slaney``).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from unheard.audio.resample import RATE

SCALES = ("htk", "slaney")
TRIANGLES = ("hertz", "mel")
NORMS = ("none", "slaney")

Array = NDArray[np.float64]


@lru_cache(maxsize=32)
def mel_filters(
    bands: int, fft: int, low: float, high: float, scale: str, triangles: str, norm: str, rate: int = RATE
) -> Array:
    """Return the weights of a mel filterbank, for a power spectrum of ``fft`` points.

    Parameters
    ----------
    bands : number of triangles, their feet at bands + 2 points even in mel between ``low`` and ``high`` (Hz).
    scale, triangles, norm : one of ``SCALES``, ``TRIANGLES``, ``NORMS``.
    rate : sampling rate of the waveform in Hz.

    Returns
    -------
    (bands, fft // 2 + 1), read-only.
    """
    hertz: Array = np.arange(fft // 2 + 1, dtype=np.float64) * (rate / fft)
    feet_mel = np.linspace(to_mel(low, scale), to_mel(high, scale), bands + 2)
    feet_hertz = from_mel(feet_mel, scale)
    feet, points = (feet_hertz, hertz) if triangles == "hertz" else (feet_mel, to_mel(hertz, scale))
    left, centre, right = feet[:-2, None], feet[1:-1, None], feet[2:, None]
    rise = (points - left) / (centre - left)
    fall = (right - points) / (right - centre)
    weights = np.maximum(0.0, np.minimum(rise, fall))
    if norm == "slaney":
        weights *= (2.0 / (feet_hertz[2:] - feet_hertz[:-2]))[:, None]
    weights.setflags(write=False)
    return weights


def to_mel(hertz: float | Array, scale: str = "htk") -> Array:
    """Return mel of hertz: 2595 log10(1 + f/700), or Slaney's, straight below 1 kHz and logarithmic above."""
    f = np.asarray(hertz, dtype=np.float64)
    if scale == "htk":
        return 2595.0 * np.log10(1.0 + f / 700.0)
    above = 15.0 + 27.0 * np.log(np.maximum(f, 1000.0) / 1000.0) / np.log(6.4)
    return np.where(f < 1000.0, f * 3.0 / 200.0, above)


def from_mel(mel: float | Array, scale: str = "htk") -> Array:
    """Return hertz of mel, the inverse of ``to_mel``."""
    m = np.asarray(mel, dtype=np.float64)
    if scale == "htk":
        return 700.0 * (10.0 ** (m / 2595.0) - 1.0)
    above = 1000.0 * np.exp(np.log(6.4) * (np.maximum(m, 15.0) - 15.0) / 27.0)
    return np.where(m < 15.0, m * 200.0 / 3.0, above)
