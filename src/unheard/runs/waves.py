"""Waveforms of a table's clips, decoded when they are asked for: what fine-tuning learns from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from unheard.audio.decode import check_trainable, load, shown
from unheard.audio.trim import Cut, trim
from unheard.errors import DataError
from unheard.extraction.features import BadClip, ClipRef
from unheard.extraction.processes import Died, spread

Wave = NDArray[np.float32]


class Waves(Mapping[str, Wave]):
    """Waveforms (n,) float32 at 16 kHz by clip id; nothing is kept in memory.

    Parameters
    ----------
    clips : those that can be decoded.
    decibels : silence at both ends is cut off so far below the loudest frame; None leaves it.
    channel, allow_truncated : see ``unheard.audio.decode.load``.
    """

    def __init__(
        self,
        clips: Sequence[ClipRef],
        decibels: Cut | None = None,
        *,
        channel: int | None = None,
        allow_truncated: bool = False,
    ) -> None:
        self._decode = partial(decode, decibels=decibels, channel=channel, allow_truncated=allow_truncated)
        self._clips = {clip.id: clip for clip in clips}

    def __getitem__(self, name: str) -> Wave:
        return self._decode(self._clips[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._clips)

    def __len__(self) -> int:
        return len(self._clips)


def read_waves(
    clips: Sequence[ClipRef],
    decibels: Cut | None,
    *,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
    channel: int | None = None,
    allow_truncated: bool = False,
) -> tuple[Waves, list[BadClip]]:
    """Decode every clip once, and return those that can be decoded with the reasons of the others."""
    attempt = partial(_tried, decibels=decibels, channel=channel, allow_truncated=allow_truncated)
    reasons: dict[str, str] = {}
    for count, (clip, reason) in enumerate(spread(attempt, clips, jobs), start=1):
        if isinstance(reason, Died):
            reason = "the process that decoded it died; is the file damaged, or memory short?"
        if reason:
            reasons[clip.id] = reason
        if progress is not None:
            progress(count, len(clips))
    bad = [BadClip(clip.id, clip.path, reasons[clip.id]) for clip in clips if clip.id in reasons]
    good = [clip for clip in clips if clip.id not in reasons]
    return Waves(good, decibels, channel=channel, allow_truncated=allow_truncated), bad


def decode(clip: ClipRef, decibels: Cut | None, channel: int | None, allow_truncated: bool) -> Wave:
    """Decode one clip and cut the silence off its ends."""
    heard = load(clip.path, clip.start, clip.end, channel=channel, allow_truncated=allow_truncated)
    check_trainable(heard)
    return heard.wave if decibels is None else trim(heard.wave, decibels)


def _tried(clip: ClipRef, decibels: Cut | None, channel: int | None, allow_truncated: bool) -> str:
    """Return why a clip cannot be decoded, or nothing."""
    try:
        decode(clip, decibels, channel, allow_truncated)
    except DataError as error:
        return str(error).removeprefix(f"{shown(clip.path)}: ")
    return ""
