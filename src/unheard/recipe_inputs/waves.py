"""Waveforms of a table's clips, decoded when they are asked for: what fine-tuning learns from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from unheard.audio.medium import AudioMedium
from unheard.errors import DataError
from unheard.extraction.extracted import BadClip, bad_clip
from unheard.extraction.processes import Died, spread
from unheard.inputs import Clip

Wave = NDArray[np.float32]


class Waves(Mapping[str, Wave]):
    """Waveforms (n,) float32 by clip id; nothing is kept in memory.

    Parameters
    ----------
    clips
        Those that can be decoded.
    medium
        How they are opened.
    """

    def __init__(self, clips: Sequence[Clip], medium: AudioMedium) -> None:
        self._medium = medium
        self._clips = {clip.id: clip for clip in clips}

    def __getitem__(self, name: str) -> Wave:
        return self._medium.open(self._clips[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._clips)

    def __len__(self) -> int:
        return len(self._clips)

    def __contains__(self, name: object) -> bool:
        return name in self._clips  # without decoding it


def read_waves(
    clips: Sequence[Clip],
    medium: AudioMedium,
    *,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[BadClip]:
    """Decode every clip once, and return those that cannot be decoded, with the reasons."""
    reasons: dict[str, str] = {}
    for count, (clip, reason) in enumerate(spread(partial(_reason, medium=medium), clips, jobs), start=1):
        if isinstance(reason, Died):
            reason = "the process that decoded it died; is the file damaged, or memory short?"
        if reason:
            reasons[clip.id] = reason
        if progress is not None:
            progress(count, len(clips))
    return [bad_clip(clip, reasons[clip.id]) for clip in clips if clip.id in reasons]


def _reason(clip: Clip, medium: AudioMedium) -> str:
    """Return why a clip cannot be decoded, or nothing."""
    try:
        medium.open(clip)
    except DataError as error:
        return str(error)
    return ""
