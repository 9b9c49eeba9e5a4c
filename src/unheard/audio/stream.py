"""Long recordings: read in blocks, and windows over where somebody speaks, in memory that does not grow.

Speech is heard in stretches: segments (``activity``) between which less than ``PAUSE`` lies. A stretch of up to
``LONGEST`` is one window. A longer one is cut into equal steps of at most half of that, and each two neighbouring
steps are a window, so that windows overlap by half and each step but the first and the last is heard twice.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from unheard.audio.decode import channel_flags, check_end, check_source, mono_blocks
from unheard.audio.flags import Meter
from unheard.audio.resample import RATE
from unheard.audio.source import opened

PAUSE = 0.5  # seconds
LONGEST = 4.0  # seconds, about as long as the clips that models are trained on

Wave = NDArray[np.float32]
Times = Sequence[tuple[float, float]]


class Blocks:
    """A file of any length, read block by block as often as it is iterated; options as of ``decode.load``.

    Yields (n,) float32 blocks, mono, which together are the waveform that ``decode.load`` gives.

    Attributes
    ----------
    flags : flags of the last reading that came to the end, but for ``dc_offset`` and ``narrowband``, which are
    those of
        windows; see ``unheard.audio.flags``. Samples that are not finite are read as 0 and flagged.
    scale : what the samples are divided by; after a reading that came to the end, what they must be divided by.
        It is known at the end alone, so blocks of floats beyond full scale are that of ``decode.load`` only with
        the ``scale`` of an earlier reading.

    Raises
    ------
    AudioError
        While it is read, where ``decode.load`` would; that a file ends before its header says so may show only
        after its last block.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        channel: int | None = None,
        allow_truncated: bool = False,
        rate: int = RATE,
        scale: float = 1.0,
    ) -> None:
        self.flags: tuple[str, ...] = ()
        self.scale = scale
        self._path = path
        self._channel = channel
        self._allow_truncated = allow_truncated
        self._rate = rate

    def __iter__(self) -> Iterator[Wave]:
        with opened(self._path) as source:
            check_source(source, self._channel, self._allow_truncated)
            meter = Meter(source.subtype)
            divisor = np.float32(self.scale)
            for block in mono_blocks(source.blocks(0, None), source.rate, self._rate, self._channel, meter):
                yield block if divisor == 1 else block / divisor
            short = check_end(source, 0, source.frames, self._allow_truncated)
            found = meter.flags(np.empty(0, np.float32), source.place / source.rate)
            meter.check_scale()
            self.scale = meter.scale
            found += channel_flags(source.channels, self._channel)
            self.flags = (*found, "truncated") if short or source.cut else found


@dataclass(frozen=True)
class Plan:
    """What is heard of a recording.

    Attributes
    ----------
    steps : (start, end) in seconds, in order and apart.
    windows : first step and the one behind the last, of each window.
    """

    steps: tuple[tuple[float, float], ...]
    windows: tuple[tuple[int, int], ...]

    @property
    def times(self) -> list[tuple[float, float]]:
        """Return start and end of each window, in seconds, starts in order."""
        return [(self.steps[first][0], self.steps[end - 1][1]) for first, end in self.windows]


def plan(spoken: Times) -> Plan:
    """Lay windows over the segments of speech, (start, end) in seconds, in order and apart."""
    steps: list[tuple[float, float]] = []
    windows: list[tuple[int, int]] = []
    for start, end in stretches(spoken):
        seconds = end - start
        count = 1 if seconds <= LONGEST else math.ceil(2 * seconds / LONGEST)
        edges = [round(start + seconds * k / count, 3) for k in range(count + 1)]
        before = len(steps)
        steps += pairwise(edges)
        windows += [(before + k, before + min(k + 2, count)) for k in range(max(1, count - 1))]
    return Plan(tuple(steps), tuple(windows))


def apart(times: Times) -> Times:
    """Return those windows, in order, that begin where the one returned before ends, or later."""
    kept: list[tuple[float, float]] = []
    for start, end in times:
        if not kept or start >= kept[-1][1]:
            kept.append((start, end))
    return kept


def cut(blocks: Iterable[Wave], times: Times, rate: int) -> Iterator[Wave]:
    """Cut pieces out of a recording that arrives in blocks.

    Parameters
    ----------
    blocks : (n,) samples each.
    times : (start, end) in seconds; starts in order, pieces may overlap.
    rate : Hz of the samples.

    Yields
    ------
    (m,) float32, a piece for each time; shorter, or empty, where the recording ends before. Only what pieces still
    need is kept.
    """
    pieces = [(round(start * rate), round(end * rate)) for start, end in times]
    source = iter(blocks)
    kept: Wave = np.empty(0, np.float32)
    place = 0  # of the first sample kept
    for first, end in pieces:
        while place + len(kept) < end:
            block = next(source, None)
            if block is None:
                break
            # What lies before this piece, no later one asks for.
            kept, place = _behind(np.concatenate([kept, block]), place, first)
        kept, place = _behind(kept, place, first)
        yield kept[: max(0, end - place)].copy()
    for _ in source:
        pass  # to the end: that the file ends too early shows only there


def stretches(spoken: Times) -> list[tuple[float, float]]:
    """Return the segments of speech, joined where less than ``PAUSE`` lies between them."""
    joined: list[tuple[float, float]] = []
    for start, end in spoken:
        if joined and start - joined[-1][1] < PAUSE:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def _behind(kept: Wave, place: int, first: int) -> tuple[Wave, int]:
    """Forget what lies before a sample."""
    gone = min(max(0, first - place), len(kept))
    return kept[gone:], place + gone
