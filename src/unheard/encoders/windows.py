"""Long recordings in windows: 20 s every 18 s, frames that lie in two windows averaged, so memory is bounded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LONGEST = 30.0  # seconds up to which a clip is taken in one piece
WINDOW = 20.0
OVERLAP = 2.0


def spans(samples: int, rate: int, hop: int) -> list[tuple[int, int]]:
    """Return first and last sample (exclusive) of each window; one window for clips up to 30 s.

    Parameters
    ----------
    samples : length of the clip.
    rate : Hz.
    hop : samples from frame to frame; windows start at a multiple of it, so that their frames coincide.
    """
    if samples <= LONGEST * rate:
        return [(0, samples)]
    size = round(WINDOW * rate)
    step = round((WINDOW - OVERLAP) * rate) // hop * hop
    # A window begins where the one before did not reach the end, so the last is longer than the overlap.
    starts = range(0, samples - (size - step), step)
    return [(start, min(start + size, samples)) for start in starts]


def window(rate: int) -> dict[str, int]:
    """Return what :func:`spans` does, in samples, for a bundle: longest piece, length of a window and step."""
    return {
        "longest": round(LONGEST * rate),
        "length": round(WINDOW * rate),
        "step": round((WINDOW - OVERLAP) * rate),
    }


def joined(windows: Sequence[NDArray[np.float32]], starts: Sequence[int]) -> NDArray[np.float32]:
    """Return the frames (frames, dims) of a clip from those of its windows.

    Parameters
    ----------
    windows : (frames, dims) each.
    starts : frame of the clip at which each window begins.
    """
    if len(windows) == 1:
        return windows[0]
    frames = max(start + len(window) for start, window in zip(starts, windows, strict=True))
    total = np.zeros((frames, windows[0].shape[1]), np.float32)
    seen = np.zeros((frames, 1), np.float32)
    for start, window in zip(starts, windows, strict=True):
        total[start : start + len(window)] += window
        seen[start : start + len(window)] += 1
    return total / seen
