"""A long recording as clips of a voice: windows of at most 4 s in which somebody speaks, none overlapping."""

from __future__ import annotations

import os
from collections.abc import Iterator

from unheard.audio import activity, decode
from unheard.audio.resample import RATE, to_rate
from unheard.audio.stream import Blocks, Times, apart, cut, plan
from unheard.errors import AudioError, escaped


def clips_of_file(
    path: str | os.PathLike[str], rate: int, *, channel: int | None, allow_truncated: bool
) -> Iterator[decode.Clip]:
    """Yield the windows of a file, which is read twice and never held whole.

    Raises
    ------
    AudioError
        Where it is missing, unreadable, no audio, truncated or out of bounds, or nobody speaks in it.
    """
    first = Blocks(path, channel=channel, allow_truncated=allow_truncated)
    times = _times(activity.measure(first), path)
    again = Blocks(path, channel=channel, allow_truncated=allow_truncated, rate=rate, scale=first.scale)
    for wave in cut(again, times, rate):
        if len(wave) == 0:
            raise AudioError(f"{escaped(path)}: changed while it was read; enrol it again")
        yield decode.from_samples(wave, rate, target=rate)


def clips_of(clip: decode.Clip) -> Iterator[decode.Clip]:
    """Yield the windows of a decoded recording; errors are those of :func:`clips_of_file`."""
    times = _times(activity.measure([to_rate(clip.wave, clip.rate, RATE)]), "a recording")
    for wave in cut([clip.wave], times, clip.rate):
        yield decode.from_samples(wave, clip.rate, target=clip.rate)


def _times(frames: activity.Frames, name: object) -> Times:
    times = apart(plan(activity.segments(frames)).times)
    if not times:
        raise AudioError(f"{escaped(name)}: nobody speaks in it, so that it makes no voice known")
    return times
