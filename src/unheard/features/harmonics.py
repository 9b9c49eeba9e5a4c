"""Heights of a voice's harmonics and of the partials near its formants: how the vocal folds close.

Powers are those of ``pitch.spectra``; differences are in decibels.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from unheard.audio.resample import RATE
from unheard.features.pitch import frame_length

HARMONICS = 4
HIGHEST = 3000.0  # Hz; the fourth harmonic of the highest pitch lies below
FORMANTS = ((300, 1000), (1000, 2200), (2200, 3600))  # Hz, where the first three lie
NAMES = ("h1_h2", "h1_h3", "h1_h4", "h2_h4", "h1_a1", "h1_a2", "h1_a3")
FLOOR = 1e-6  # power relative to the loudest frame

Array = NDArray[np.float64]
Single = NDArray[np.float32]


def partials(power: Single) -> tuple[Single, Single]:
    """Return what ``heights`` needs of power spectra: those up to ``HIGHEST``, and the formants, (frames, 3).

    A formant is the strongest partial in its range; none is tracked.
    """
    resolution = RATE / 2 / (power.shape[1] - 1)
    # Points strictly inside: one on the border of two ranges is in neither.
    ranges = [slice(int(low / resolution) + 1, int(np.ceil(high / resolution))) for low, high in FORMANTS]
    formants = np.column_stack([power[:, inside].max(axis=1) for inside in ranges])
    return power[:, : int(HIGHEST / resolution)].copy(), formants


def heights(low: Single, formants: Single, f0: Array, points: int, gain: float) -> Array:
    """Return the descriptors of ``NAMES``, (frames, 7), with the given F0 (Hz) in every frame.

    ``low`` and ``formants`` are of spectra with so many ``points``; ``gain`` gives the loudest frame power 1.
    """
    # The height of a harmonic is the largest of nine points within a fifth of F0 around it.
    multiples = np.arange(1, HARMONICS + 1) + np.arange(-4, 5)[:, None, None] * 0.05
    at = np.rint(f0[:, None] * (points / RATE) * multiples).astype(np.intp)
    frame = np.arange(len(f0))[:, None]
    harmonics = low[frame, np.minimum(at, low.shape[1] - 1)].max(axis=0)
    h1, h2, h3, h4, *a = _decibels(gain * np.column_stack([harmonics, formants])).T
    return np.column_stack([h1 - h2, h1 - h3, h1 - h4, h2 - h4, *(h1 - formant for formant in a)])


def _decibels(power: Array) -> Array:
    """Return decibels of the raw powers, with the floor under them."""
    logs: Array = 10.0 * np.log10(power * _scale() + FLOOR / frame_length())
    return logs


@cache
def _scale() -> float:
    """Return what makes a raw power one of the mean square of a frame."""
    window = np.hanning(frame_length() + 2)[1:-1]
    return float(1.0 / (window @ window * frame_length()))
