"""Cut silence from both ends of a recording.

Frames of 25 ms every 10 ms; a frame counts as loud where its energy is at most so many decibels below that of the
loudest frame. What lies before the first loud frame and after the last one goes; nothing inside is touched.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from unheard.audio.resample import RATE
from unheard.errors import UsageError

FRAME = RATE * 25 // 1000  # samples at 16 kHz
HOP = RATE * 10 // 1000
BLOCK = 1 << 13  # pieces of a frame, of which energies are computed at a time

Wave = NDArray[np.float32]


def trim(wave: Wave, decibels: float, rate: int = RATE) -> Wave:
    """Return the part of a waveform between its first and its last loud frame.

    Parameters
    ----------
    wave : (n,) samples.
    decibels : how far below the loudest frame a frame may lie and still be kept; above 0.
    rate : Hz of the samples.

    Returns
    -------
    (m,) a view, at least one frame long; the whole waveform where it is shorter than a frame or all zeros.
    Trimming twice is trimming once.

    Raises
    ------
    UsageError
        Where ``decibels`` is not above 0.
    """
    check_decibels(decibels)
    frame, hop = rate * 25 // 1000, rate * 10 // 1000
    energy = _energies(wave, frame, hop)
    if len(energy) == 0 or energy.max() <= 0:
        return wave
    loud = np.flatnonzero(energy >= energy.max() * 10.0 ** (-decibels / 10.0))
    # Samples after the last whole frame have no frame of their own and share its fate.
    end = len(wave) if loud[-1] == len(energy) - 1 else loud[-1] * hop + frame
    return wave[loud[0] * hop : end]


def check_decibels(decibels: float) -> None:
    """Refuse what is not a finite number of decibels above 0."""
    number = isinstance(decibels, (int, float)) and not isinstance(decibels, bool)
    if not number or not math.isfinite(decibels) or decibels <= 0:
        raise UsageError(f"trim: {decibels!r} is not a number of decibels above 0, for example 40")


def _energies(wave: Wave, frame: int, hop: int) -> NDArray[np.float64]:
    """Return the energy of each whole frame, (frames,)."""
    count = 1 + (len(wave) - frame) // hop
    if count < 1:
        return np.empty(0)
    # Frames overlap in steps that divide them: sums over the smallest common piece are added up.
    piece = math.gcd(frame, hop)
    used = (count - 1) * hop + frame
    parts = wave[:used].reshape(-1, piece)
    # Some at a time: squares of an hour in float64 would take half a gigabyte.
    squares = (np.square(part, dtype=np.float64) for part in np.split(parts, range(BLOCK, len(parts), BLOCK)))
    pieces = np.concatenate([square.sum(axis=1) for square in squares])
    whole = np.lib.stride_tricks.sliding_window_view(pieces, frame // piece)[:: hop // piece]
    energies: NDArray[np.float64] = whole.sum(axis=1)
    return energies
