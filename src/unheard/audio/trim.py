"""Cut silence from both ends of a recording.

Frames of 25 ms every 10 ms; a frame counts as loud where its energy is at most so many decibels below that of the
loudest frame. What lies before the first loud frame and after the last one goes; nothing inside is touched.

In a noisy recording no frame lies 40 dB below the loudest, and nothing would be cut. With a second number, what
lies more than 0.1 s outside the frames that are so many decibels louder than the noise goes too; the noise is what
the quietest tenth of the frames stays below.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard.audio.resample import RATE
from unheard.errors import UsageError

FRAME = RATE * 25 // 1000  # samples at 16 kHz
HOP = RATE * 10 // 1000
QUIETEST = 10  # percent of the frames
AROUND = 10  # frames kept before and behind what stands out of the noise: weak sounds begin and end speech
MOST = 200  # decibels; floating-point numbers hold no larger range of a recording
BLOCK = 1 << 13  # pieces of a frame, of which energies are computed at a time

Wave = NDArray[np.float32]
#: Decibels below the loudest frame; or these and decibels above the noise.
Cut = float | Sequence[float]


def trim(wave: Wave, decibels: Cut, rate: int = RATE) -> Wave:
    """Return the part of a waveform between its first and its last loud frame.

    Parameters
    ----------
    wave : (n,) samples.
    decibels : how far below the loudest frame a frame may lie and still be loud, such as 40; or this and how far
        above the noise the speech lies, such as (40, 10). Whatever the noise, a frame less than the second number
        below the loudest one is speech. All above 0.
    rate : Hz of the samples.

    Returns
    -------
    (m,) a view, at least one frame long; the whole waveform where it is shorter than a frame or all zeros. With
    one number, trimming twice is trimming once.

    Raises
    ------
    UsageError
        Where ``decibels`` are not one or two numbers above 0 and up to 200.
    """
    below, above = limits(decibels)
    frame, hop = rate * 25 // 1000, rate * 10 // 1000
    energy = _energies(wave, frame, hop)
    if len(energy) == 0 or energy.max() <= 0:
        return wave
    first, last = _ends(energy >= energy.max() * 10.0 ** (-below / 10.0))
    if above is not None:
        factor = 10.0 ** (above / 10.0)
        noise = np.percentile(energy, QUIETEST)
        start, stop = _ends(energy >= min(noise * factor, energy.max() / factor))
        first, last = max(first, start - AROUND), min(last, stop + AROUND)
    # Samples after the last whole frame have no frame of their own and share its fate.
    end = len(wave) if last == len(energy) - 1 else last * hop + frame
    return wave[first * hop : end]


def limits(decibels: object) -> tuple[float, float | None]:
    """Return the one or two numbers that a waveform is cut by; refuse what is not above 0 and up to 200."""
    given: list[Any] = list(decibels) if isinstance(decibels, (list, tuple)) else [decibels]
    if len(given) not in (1, 2) or not all(_is_number(value) for value in given):
        raise UsageError(
            f"trim: {decibels!r} is not a number of decibels above 0 and up to {MOST}, such as 40, nor two, "
            "such as [40, 10]"
        )
    return float(given[0]), float(given[1]) if len(given) == 2 else None


def _is_number(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 < value <= MOST


def _ends(loud: NDArray[np.bool_]) -> tuple[int, int]:
    places = np.flatnonzero(loud)
    return int(places[0]), int(places[-1])


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
