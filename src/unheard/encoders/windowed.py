"""One clip at a time, a long one in windows: for networks whose entries differ in their frame rates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import lcm

from unheard.encoders.contract import Layers, Wave
from unheard.encoders.windows import joined, spans


def in_windows(wave: Wave, rate: int, hops: Sequence[int], compute: Callable[[Wave], Layers]) -> Layers:
    """Return the entries of a clip, each (frames, dims), from those of its windows.

    Parameters
    ----------
    wave : (n,) at ``rate`` Hz.
    hops : samples between two frames of each entry. Windows start where all entries have a frame.
    compute : the entries of one window.
    """
    cuts = spans(len(wave), rate, lcm(*hops))
    parts = [compute(wave[start:end]) for start, end in cuts]
    return tuple(
        joined(windows, [start // hop for start, _ in cuts])
        for windows, hop in zip(zip(*parts, strict=True), hops, strict=True)
    )
