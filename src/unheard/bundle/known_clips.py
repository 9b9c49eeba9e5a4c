"""``known-clips.npz``: by which the recordings that a model was trained on are known again under any name.

Of each the file keeps the hashes and times of at most 48 landmarks (:mod:`unheard.audio.fingerprint`) in 192
bytes: no samples, no names, nothing to listen to. They are the loudest of each twelfth of the recording, since
landmarks that lie close together are shared by chance. A recording is known where enough of them return at one
shift. Copies at 8 kHz, in Opus of 17 kbit/s or with another gain keep 26 of 48, other recordings share 7 at most.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from unheard.audio.fingerprint import HASHES, Landmarks, agreement, landmarks, meetings
from unheard.errors import BundleError
from unheard.formats.arrays import Archive

FILE = "known-clips.npz"
#: Landmarks of a clip, four bytes each, and parts of it that these are divided among.
LANDMARKS, PARTS = 48, 12
#: Landmarks that must agree, at least, and as a share of those that are kept of the clip.
MIN_VOTES, MIN_SHARE = 8, 0.25
#: Bits of a landmark's time in frames of 10 ms: 164 s.
TIME_BITS = 14
#: Stands in the place of landmarks that a short clip lacks.
NOTHING = 2**32 - 1
MAX_BYTES = 2**28

Marks = NDArray[np.uint32]


def marks(wave: NDArray[np.floating]) -> Marks:
    """Return what is kept of a wave, (n,) at 16 kHz: (48,) landmarks, ``hash << 14 | frame``, sorted."""
    found = landmarks(wave)
    early = np.flatnonzero(found.times < 2**TIME_BITS)
    found = Landmarks(found.hashes[early], found.times[early], found.levels[early])
    kept = _spread(found)
    packed = np.full(LANDMARKS, NOTHING, np.uint32)
    packed[: len(kept)] = found.hashes[kept] << TIME_BITS | found.times[kept]
    return np.sort(packed)


def _spread(found: Landmarks) -> NDArray[np.intp]:
    """Return the positions of the loudest landmarks of each part in turn, until there are enough."""
    if not len(found.times):
        return np.zeros(0, np.intp)
    part = found.times * PARTS // (found.times.max() + 1)
    order = np.lexsort((found.hashes, found.times, -found.levels, part))
    begins = np.searchsorted(part[order], np.arange(PARTS))
    rank = np.arange(len(order)) - begins[part[order]]
    chosen = np.lexsort((-found.levels[order], rank))[:LANDMARKS]
    return order[chosen]


class KnownClips:
    """The recordings that a model was trained on.

    Parameters
    ----------
    kept
        (n, 48): what :func:`marks` returned of each.
    """

    def __init__(self, kept: Marks) -> None:
        self._kept = kept

    def __len__(self) -> int:
        return len(self._kept)

    @cached_property
    def _index(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Hashes, sorted, with the clip and the time of each; and the landmarks that must agree of each clip."""
        flat = self._kept.ravel()
        order = np.argsort(flat, kind="stable")[: np.count_nonzero(flat != NOTHING)]
        sizes = np.count_nonzero(self._kept != NOTHING, axis=1)
        hashes, times = flat[order] >> TIME_BITS, flat[order] & (2**TIME_BITS - 1)
        needed = np.maximum(MIN_VOTES, MIN_SHARE * sizes)
        return hashes.astype(np.int64), order // LANDMARKS, times.astype(np.int64), needed

    def has(self, wave: NDArray[np.floating]) -> bool:
        """Return whether a wave, (n,) at 16 kHz, is one of them."""
        found = landmarks(wave)
        hashes, clips, times, needed = self._index
        query, there = meetings(found.hashes, hashes)
        which, votes = agreement(clips[there], found.times[query] - times[there])
        return bool((votes >= needed[which]).any())


def unpack(files: Mapping[str, bytes]) -> KnownClips | None:
    """Read the file of a bundle; None where it has none.

    Raises
    ------
    BundleError
        Another array than it should be, or landmarks that do not exist.
    """
    if FILE not in files:
        return None
    archive = Archive(files[FILE], FILE, BundleError, MAX_BYTES)
    if list(archive.heads) != ["landmarks"]:
        raise BundleError(
            f"{FILE} holds {sorted(archive.heads)!r:.100}, expected the array 'landmarks' alone"
        )
    kept = archive["landmarks"]
    if kept.dtype != np.dtype("<u4") or kept.ndim != 2 or kept.shape[1] != LANDMARKS:
        raise BundleError(
            f"{FILE}: landmarks are {kept.dtype} of shape {kept.shape}, expected uint32 of (clips, {LANDMARKS})"
        )
    if ((kept >> TIME_BITS >= HASHES) & (kept != NOTHING)).any():
        raise BundleError(f"{FILE}: a landmark of a number from {HASHES} on, of which there is none")
    return KnownClips(kept)
