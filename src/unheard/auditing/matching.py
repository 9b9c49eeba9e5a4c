"""Find the near-duplicates among many fingerprints without comparing every pair.

An inverted index of landmarks (``fingerprint.py``) gives candidates: pairs whose landmarks agree at one and the
same shift. Only these are aligned and compared. Work grows with the number of landmarks that two clips share by
chance (about one a pair of clips), so 5,000 clips take seconds; memory grows with the number of clips alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from unheard.audio.fingerprint import THRESHOLD, Fingerprint, agreement, meetings, similarity

#: Landmarks that must agree at one shift, at least, and as a share of the smaller number of landmarks.
#: Copies through the codecs of ``benchmarks/fingerprint.py`` share at least a ninth.
MIN_VOTES, MIN_SHARE = 4, 0.05
BLOCK = 64  # clips looked up at once
EVENTS = 4_000_000  # landmark pairs held in memory at once, about 200 MB

Array = npt.NDArray[Any]


class Match(NamedTuple):
    """Positions of two clips, first below second, and how alike they are."""

    first: int
    second: int
    similarity: float


def near_duplicates(prints: Sequence[Fingerprint], *, threshold: float = THRESHOLD) -> list[Match]:
    """Return all pairs at least ``threshold`` alike, sorted by position; equal recordings are among them."""
    matches = (Match(a, b, similarity(prints[a], prints[b])) for a, b in candidates(prints))
    return [match for match in matches if match.similarity >= threshold]


def candidates(prints: Sequence[Fingerprint]) -> list[tuple[int, int]]:
    """Return sorted pairs of positions whose landmarks agree at one shift often enough to be worth aligning."""
    sizes = np.array([len(p.hashes) for p in prints], dtype=np.int64)
    if len(prints) < 2 or not sizes.any():
        return []
    hashes, times = (np.concatenate([getattr(p, name) for p in prints]) for name in ("hashes", "times"))
    clips = np.repeat(np.arange(len(prints)), sizes)
    order = np.argsort(hashes, kind="stable")
    index = (hashes[order], clips[order], times[order])
    minimum = np.maximum(MIN_VOTES, MIN_SHARE * sizes)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    found = []
    for first, last in _blocks(hashes, index[0], starts):
        piece = slice(starts[first], starts[last])
        pairs, votes = _votes(hashes[piece], clips[piece], times[piece], index, len(prints))
        a, b = pairs // len(prints), pairs % len(prints)
        enough = votes >= np.minimum(minimum[a], minimum[b])
        found += list(zip(a[enough].tolist(), b[enough].tolist(), strict=True))
    return sorted(found)


def _blocks(hashes: Array, index: Array, starts: Array) -> list[tuple[int, int]]:
    """Cut the clips into runs of at most ``BLOCK``, shorter where many landmarks are common ones."""
    hits = np.searchsorted(index, hashes, "right") - np.searchsorted(index, hashes, "left")
    total = np.concatenate([[0], np.cumsum(hits)])[starts]  # landmark pairs up to each clip
    blocks, first = [], 0
    while first < len(starts) - 1:
        last = int(np.searchsorted(total, total[first] + EVENTS, "right")) - 1
        last = min(max(last, first + 1), first + BLOCK, len(starts) - 1)
        blocks.append((first, last))
        first = last
    return blocks


def _votes(
    hashes: Array, clips: Array, times: Array, index: tuple[Array, Array, Array], count: int
) -> tuple[Array, Array]:
    """Return pairs (first · count + second) with a common landmark, and how many agree within two frames."""
    all_hashes, all_clips, all_times = index
    query, there = meetings(hashes, all_hashes)
    later = all_clips[there] > clips[query]
    query, there = query[later], there[later]
    return agreement(clips[query] * count + all_clips[there], times[query] - all_times[there])
