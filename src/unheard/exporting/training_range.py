"""The ground that a model is trained on: what is measured of its training clips."""

from __future__ import annotations

import numpy as np
import polars as pl

from unheard.audio import decode
from unheard.audio.quality import Quality, quality, ranges
from unheard.errors import AudioError

#: Clips that are measured; percentiles of more are hardly different.
MOST = 500


def domain_of(
    table: pl.DataFrame, channel: int | None = None
) -> dict[str, tuple[float | None, float | None]]:
    """Return the ranges of a bundle's ``domain`` over training clips, at most 500 spread evenly over the ids.

    Clips that cannot be read or say nothing are left out; {} where nobody speaks in any, or none is there.
    """
    rows = table.sort("id").select("path", "start", "end").rows()
    picked = np.unique(np.linspace(0, len(rows) - 1, min(MOST, len(rows))).round().astype(int))
    measured: list[Quality] = []
    for path, start, end in (rows[i] for i in picked):
        try:
            clip = decode.load(path, start, end, channel=channel, allow_truncated=True)
        except AudioError:
            continue
        if clip.usable:
            measured.append(quality(clip.wave))
    return ranges(measured) if any(clip.snr is not None for clip in measured) else {}
