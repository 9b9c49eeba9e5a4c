"""One file of many packed clips, which shows by itself whether it is whole, unaltered and of the right store.

    magic (8 bytes) │ clips, each from a multiple of 64 on │ index (JSON) │ its length (8) │ SHA-256 │ magic

The SHA-256 is of the store's name and the index; the index holds the SHA-256 of each clip's bytes. So opening
a shard reads its index alone, and a clip is checked by reading that clip. A shard takes its name once it is
whole and synced.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from unheard.extraction.storage import Packed
from unheard.files import atomic, canonical_json

MAGIC = b"unheardL"
ALIGNED = 64
TAIL = 8 + 32 + len(MAGIC)
BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Place:
    """Where a clip lies: first byte and number of bytes, what they hold, and their SHA-256."""

    first: int
    length: int
    shape: tuple[int, ...]
    cosines: tuple[float, ...] | None
    sha256: str

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Place:
        """Return a place from its fields as JSON has them."""
        cosines = plain["cosines"]
        return cls(
            plain["first"],
            plain["length"],
            tuple(plain["shape"]),
            None if cosines is None else tuple(cosines),
            plain["sha256"],
        )


@dataclass(frozen=True)
class Index:
    """What a shard holds: places by clip key, and the reasons of clips that give nothing."""

    clips: dict[str, Place]
    refused: dict[str, str]


def write(folder: Path, store: str, clips: Mapping[str, Packed], refused: Mapping[str, str]) -> Path:
    """Write a shard, named by the clips in it, and return its path.

    The clips stand in the order of their keys: another process that writes the same clips replaces the file by one
    in which each stands where it stood.
    """
    keys = canonical_json([sorted(clips), sorted(refused)])
    path = folder / f"{hashlib.sha256(keys.encode()).hexdigest()[:32]}.shard"
    places = {}
    with atomic(path) as file:
        file.write(MAGIC)
        for key, packed in sorted(clips.items()):
            file.write(bytes(-file.tell() % ALIGNED))
            first, sha = file.tell(), hashlib.sha256()
            for part in packed.parts:
                data = part.data.cast("B")
                sha.update(data)
                file.write(data)
            places[key] = Place(first, file.tell() - first, packed.shape, packed.cosines, sha.hexdigest())
        entries = {key: asdict(place) for key, place in places.items()}
        index = canonical_json({"clips": entries, "refused": dict(refused)}).encode()
        file.write(index + len(index).to_bytes(8, "little") + _sha256(store, index) + MAGIC)
    return path


def read_index(path: Path, store: str) -> Index | None:
    """Return a shard's index, or None where the file is not a whole shard of this store.

    Raises
    ------
    OSError
        Where the file cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size < len(MAGIC) + TAIL:
            return None
        file.seek(size - TAIL)
        tail = file.read(TAIL)
        length = int.from_bytes(tail[:8], "little")
        if tail[-len(MAGIC) :] != MAGIC or length > size - TAIL - len(MAGIC):
            return None
        file.seek(size - TAIL - length)
        index = file.read(length)
        file.seek(0)
        if _sha256(store, index) != tail[8:-8] or file.read(len(MAGIC)) != MAGIC:
            return None
    read = json.loads(index)
    return Index({key: Place.from_plain(place) for key, place in read["clips"].items()}, read["refused"])


def intact(path: Path, places: list[Place]) -> bool:
    """Return whether the bytes of these clips are those that were written."""
    with path.open("rb") as file:
        for place in sorted(places, key=lambda place: place.first):
            file.seek(place.first)
            sha, left = hashlib.sha256(), place.length
            while left and (block := file.read(min(left, BLOCK))):
                sha.update(block)
                left -= len(block)
            if left or sha.hexdigest() != place.sha256:
                return False
    return True


def _sha256(store: str, index: bytes) -> bytes:
    return hashlib.sha256(MAGIC + store.encode() + index).digest()
