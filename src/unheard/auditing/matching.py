"""Find the near-duplicates among many fingerprints without comparing every pair.

An inverted index of landmarks (:mod:`unheard.audio.fingerprint`) gives candidates: pairs whose landmarks agree at
one and the same shift. Only these are decoded again, aligned and compared. Each recording looks up its rarest
landmarks alone, and none that many recordings share, so that work and memory grow with the number of recordings:
150,000 made-up ones take 12 s of one core and 1.6 GB (``benchmarks/fingerprint.py --many 150000``), next to a
quarter of an hour of decoding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from unheard.audio.fingerprint import THRESHOLD, Fingerprint, agreement, similarity

#: Landmarks that must agree at one shift, at least, and as a share of the smaller number that is looked up.
MIN_VOTES, MIN_SHARE = 3, 0.03
#: Landmarks that a recording looks up, its rarest ones: at least, and as a share of all it has.
MIN_RAREST, RAREST = 64, 0.25
#: A landmark that stands in more places tells nothing.
MAX_COMMON = 200
TIME_BITS = 16  # bits of a time in frames, since a fingerprint covers ten minutes
MAX_TIME = 2**TIME_BITS - 1
BLOCK = 50_000  # landmarks of the recordings that are looked up at once

Array = npt.NDArray[Any]


class Match(NamedTuple):
    """Positions of two clips, first below second, and how alike they are."""

    first: int
    second: int
    similarity: float


def near_duplicates(
    prints: Sequence[Fingerprint], band_wave: Callable[[int], Array | None], *, threshold: float = THRESHOLD
) -> list[Match]:
    """Return all pairs at least ``threshold`` alike, sorted by position; equal recordings are among them.

    ``band_wave`` gives that of the recording at a position (None where it is gone), for the few that it is needed
    of.
    """
    wave_of = lru_cache(maxsize=1000)(band_wave)
    found = []
    for a, b in candidates(prints):
        x, y = wave_of(a), wave_of(b)
        alike = 0.0 if x is None or y is None else similarity(x, y)
        if alike >= threshold:
            found.append(Match(a, b, alike))
    return found


def candidates(prints: Sequence[Fingerprint]) -> list[tuple[int, int]]:
    """Return sorted pairs of positions whose landmarks agree at one shift often enough to be worth aligning."""
    sizes = np.array([len(p.hashes) for p in prints], dtype=np.int64)
    if len(prints) < 2 or not sizes.any():
        return []
    places = _Places(prints, sizes)
    looked_up = np.minimum(sizes, np.maximum(MIN_RAREST, RAREST * sizes)).astype(np.int64)
    needed = np.maximum(MIN_VOTES, MIN_SHARE * looked_up)
    pairs, first = [places.nothing], 0
    while first < len(prints):
        last = max(first + 1, int(np.searchsorted(places.starts, places.starts[first] + BLOCK, "right")) - 1)
        found, votes = places.votes(first, last, looked_up)
        one, other = found // len(prints), found % len(prints)
        enough = votes >= np.minimum(needed[one], needed[other])
        pairs.append(np.minimum(one, other)[enough] * len(prints) + np.maximum(one, other)[enough])
        first = last
    every = np.unique(np.concatenate(pairs))
    return list(zip((every // len(prints)).tolist(), (every % len(prints)).tolist(), strict=True))


def _sorted(values: Array) -> tuple[Array, Array]:
    """Return whole numbers below 2^32 in order, and where each stood: several times as fast as ``argsort``."""
    packed = values.astype(np.uint64)
    packed <<= np.uint64(32)
    packed |= np.arange(len(values), dtype=np.uint64)
    packed.sort()
    order = packed.astype(np.uint32).astype(np.int32)  # the lower half
    packed >>= np.uint64(32)
    return packed.astype(np.uint32), order


class _Places:
    """Where each landmark stands that two recordings or more may share: equal ones lie side by side.

    Numbers are of 32 bits: with those of 64 the index of 150,000 recordings would not fit into 2 GB.

    Attributes
    ----------
    starts
        Where the landmarks of each recording begin among those that it may share, and where the last ones end.
    """

    nothing = np.zeros(0, np.int64)

    def __init__(self, prints: Sequence[Fingerprint], sizes: Array) -> None:
        self._count = len(prints)
        hashes, order = _sorted(np.concatenate([p.hashes for p in prints]))
        begins = np.flatnonzero(np.concatenate([[True], hashes[1:] != hashes[:-1]]))
        lengths = np.diff(np.append(begins, len(hashes)))
        shared = (lengths > 1) & (lengths <= MAX_COMMON)
        order = order[np.repeat(shared, lengths)]
        lengths = lengths[shared].astype(np.int32)
        begins = (np.cumsum(lengths) - lengths).astype(np.int32)
        self._begin, self._common = np.repeat(begins, lengths), np.repeat(lengths, lengths)
        entries = np.repeat(np.arange(len(prints)) << TIME_BITS, sizes)
        entries |= np.concatenate([p.times for p in prints])
        self._entries = entries[order]  # recording and time
        # The same in the order of the recordings, each with its place here.
        numbers, self._place = _sorted(order)
        self.starts = np.searchsorted(numbers, np.concatenate([[0], np.cumsum(sizes)]))

    def votes(self, first: int, last: int, looked_up: Array) -> tuple[Array, Array]:
        """Return pairs (one · count + other) of recordings, and how many landmarks agree within two frames.

        The one is ``first`` to ``last`` - 1, and looks up its rarest landmarks.
        """
        place = self._place[self.starts[first] : self.starts[last]]
        clips = np.repeat(np.arange(first, last), np.diff(self.starts[first : last + 1]))
        common = self._common[place]
        # They stand recording by recording already, so that sorting them moves them within their own alone.
        _, order = _sorted((clips - first) * (MAX_COMMON + 1) + common)
        rank = np.arange(len(order)) - np.searchsorted(clips, clips)
        chosen = order[rank < looked_up[clips]]
        place, common = place[chosen], common[chosen]
        # All places begin, begin + 1, …, begin + common - 1 of each, in one line.
        begin = self._begin[place] - (np.cumsum(common) - common)
        there = self._entries[np.arange(common.sum()) + np.repeat(begin, common)]
        here = np.repeat(self._entries[place], common)
        own, other = here >> TIME_BITS, there >> TIME_BITS
        shift = (here & MAX_TIME) - (there & MAX_TIME)
        apart = own != other
        return agreement((own * self._count + other)[apart], shift[apart])
