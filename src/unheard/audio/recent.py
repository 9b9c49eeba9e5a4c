"""The last half minute of a recording that is still going on: what is measured of it.

What is known at a second depends on nothing that comes after it: frames of which samples are missing yet are left
out, and the noise floor and the loudest speech are those of the past. Memory does not grow.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from unheard.audio import activity
from unheard.audio.activity import FFT, HOP, SIDE, WINDOW, Frames
from unheard.audio.resample import RATE

#: Seconds that are kept; the noise floor is taken from as many (15 on either side, where both sides are known).
PAST = 30

Wave = NDArray[np.float32]


class Recent:
    """Frames of the last ``PAST`` seconds of samples at 16 kHz, which arrive second by second."""

    def __init__(self) -> None:
        self._rest: Wave = np.zeros(SIDE, np.float32)
        self._kept: deque[tuple[NDArray[np.float32], NDArray[np.float64]]] = deque(maxlen=PAST)
        self._samples = 0
        self._count = 0

    @property
    def seconds(self) -> float:
        """Return how long the recording is so far."""
        return self._samples / RATE

    def add(self, second: Wave, *, last: bool = False) -> None:
        """Measure one more second, (16 000,) samples; only the ``last`` one may be shorter."""
        self._samples += len(second)
        wave = np.concatenate([self._rest, second])
        most = None
        if last:
            most = -(-self._samples // HOP) - self._count
            wave = np.pad(wave, (0, max(0, WINDOW + most * HOP - len(wave))))
        parts: list[NDArray[np.float32]] = []
        spectrum = np.zeros(FFT // 2 + 1)
        self._rest = activity.take(wave, parts, spectrum, most).copy()
        table = np.concatenate([np.empty((activity.ROWS, 0), np.float32), *parts], axis=1)
        self._count += table.shape[1]
        self._kept.append((table, spectrum))

    def frames(self) -> tuple[float, Frames]:
        """Return when the frames that are kept begin, in seconds, and these frames."""
        table = np.concatenate([each for each, _ in self._kept], axis=1)
        spectrum = np.sum([each for _, each in self._kept], axis=0) / max(1, table.shape[1])
        start = (self._count - table.shape[1]) * HOP / RATE
        return start, Frames.of(table, spectrum, self.seconds - start)
