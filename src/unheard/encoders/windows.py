"""How clips are cut and put together for a network: long ones in windows, those of similar length in batches.

A recording of more than 30 s is taken in windows of 20 s every 18 s, and frames that lie in two windows are
averaged, so that memory is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import lcm

import numpy as np
from numpy.typing import NDArray

LONGEST = 30.0  # seconds up to which a clip is taken in one piece
WINDOW = 20.0
OVERLAP = 2.0

Frames = NDArray[np.float32]


def spans(samples: int, rate: int, hop: int) -> list[tuple[int, int]]:
    """Return first and last sample (exclusive) of each window; one window for clips up to 30 s.

    Parameters
    ----------
    samples
        Length of the clip.
    rate
        Hz.
    hop
        Samples from frame to frame; windows start at a multiple of it, so that their frames coincide.
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


def joined(windows: Sequence[Frames], starts: Sequence[int]) -> Frames:
    """Return the frames (frames, dims) of a clip from those of its windows.

    Parameters
    ----------
    windows
        Frames (frames, dims) of each window.
    starts
        Frame of the clip at which each window begins.
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


def in_windows(
    wave: Frames, rate: int, hops: Sequence[int], compute: Callable[[Frames], tuple[Frames, ...]]
) -> tuple[Frames, ...]:
    """Return the layers of one clip, each (frames, dims), from those of its windows.

    Parameters
    ----------
    wave
        Waveform (samples,).
    rate
        Its Hz.
    hops
        Samples between two frames of each layer. Windows start where all layers have a frame.
    compute
        Gives the layers of one window.
    """
    cuts = spans(len(wave), rate, lcm(*hops))
    parts = [compute(wave[start:end]) for start, end in cuts]
    return tuple(
        joined(windows, [start // hop for start, _ in cuts])
        for windows, hop in zip(zip(*parts, strict=True), hops, strict=True)
    )


def by_length(frames: Sequence[int], budget: int, *, equal: bool = False) -> list[list[int]]:
    """Return the positions of clips in batches, the longest clips first: what is too large fails at once.

    Parameters
    ----------
    frames
        Length of each clip.
    budget
        Frames of a batch, were all its clips as long as its longest; a longer clip is a batch of its own.
    equal
        Whether the clips of a batch must be equally long, so that nothing is padded.
    """
    batches: list[list[int]] = []
    longest = 0
    for position in sorted(range(len(frames)), key=lambda at: (-frames[at], at)):
        full = not batches or (len(batches[-1]) + 1) * longest > budget
        if full or (equal and frames[position] != longest):
            batches.append([])
            longest = frames[position]
        batches[-1].append(position)
    return batches
