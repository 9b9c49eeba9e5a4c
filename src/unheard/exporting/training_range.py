"""The range of a model's training data: bandwidth, noise, speech and duration of its training clips."""

from __future__ import annotations

import numpy as np
import polars as pl

from unheard.audio import decode
from unheard.audio.quality import Quality, quality, ranges
from unheard.errors import AudioError

#: Number of clips that are measured; percentiles of more clips hardly differ.
MAX_CLIPS = 500


def training_range_of(
    table: pl.DataFrame, channel: int | None = None
) -> dict[str, tuple[float | None, float | None]]:
    """Return the ranges of the measures over training clips, at most 500 of them, spread evenly over the ids.

    Clips that cannot be read or are silent are left out; {} where no clip has speech.
    """
    rows = table.sort("id").select("path", "start", "end").rows()
    picked = np.unique(np.linspace(0, len(rows) - 1, min(MAX_CLIPS, len(rows))).round().astype(int))
    measured: list[Quality] = []
    for path, start, end in (rows[i] for i in picked):
        try:
            clip = decode.load(path, start, end, channel=channel, allow_truncated=True)
        except AudioError:
            continue
        if clip.usable:
            measured.append(quality(clip.wave))
    return ranges(measured) if any(clip.snr is not None for clip in measured) else {}
