"""The store: features that were extracted once for each clip and are read many times from memory maps.

All stores lie in one folder. Each is a folder named by the digest of all that decides about its content: the
extractor's key and how its output is stored. It holds ``store.json``, which says so in words, and shards
(``shard.py``). Within it a clip is known by its content and by the versions of what opens it. Any number of
processes may read and write: a file appears whole or not at all, and one that two of them write is the same. A
shard that is damaged, cut short or of another store is dropped, said once, and its clips count as missing.

Where all stores together pass a bound, the shards that were not used for longest go, but none that this process
has used, or that any has used within the hour.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from unheard.errors import DataError, MachineError, UsageError, escaped
from unheard.extraction import shard
from unheard.extraction.extracted import Metadata
from unheard.extraction.shard import Index, Place
from unheard.extraction.storage import Packed, Storage
from unheard.files import cache_folder, digest, write_json
from unheard.formats import json_text
from unheard.temporary import sweep_folder

VERSION = 2  # of what is written
HOUR = 3600.0
CHECKERS = 4  # threads that read shards
BOUND = 20.0  # GB of all stores together, unless UNHEARD_CACHE_MAX says another number
STARTED = time.time()  # what was used since is used by this process

_log = logging.getLogger(__name__)


class Store:
    """One store, opened: what is in it by clip key.

    Parameters
    ----------
    root
        Folder of all stores.
    name
        Name of this one, see :func:`store_name`.
    bound
        Bytes that all stores together may take; None for any number.

    Raises
    ------
    MachineError
        The folder cannot be read.
    """

    def __init__(self, root: Path, name: str, bound: int | None = None) -> None:
        self.root = root
        self.folder = root / name
        self.name = name
        self.bound = bound
        self.refused: dict[str, str] = {}
        self._unchecked: int | None = None  # bytes written since the bound was last looked at
        self._dropped = 0
        self._clips: dict[str, tuple[Path, Place]] = {}
        sweep_folder(self.folder)
        for path in self._shards():
            self._add(path)

    def __contains__(self, key: str) -> bool:
        return key in self._clips or key in self.refused

    def place(self, key: str) -> tuple[Path, Place]:
        """Return shard and place of a clip."""
        return self._clips[key]

    def check(self, keys: Iterable[str]) -> None:
        """Read these clips, drop the shards in which one was altered, and mark the others as used now."""
        wanted: dict[Path, list[Place]] = {}
        for key in keys:
            if key in self._clips:
                path, place = self._clips[key]
                wanted.setdefault(path, []).append(place)
        for path in wanted:
            with suppress(OSError):
                os.utime(path)
        with ThreadPoolExecutor(CHECKERS) as pool:
            for path, whole in zip(wanted, pool.map(_whole, wanted, wanted.values()), strict=True):
                if whole is None:
                    self._forget(path)
                elif not whole:
                    self._drop(path)

    def write(self, clips: Mapping[str, Packed], refused: Mapping[str, str]) -> None:
        """Write a shard.

        Raises
        ------
        MachineError
            Where the disk is full or the folder cannot be written; what is in the store stays.
        """
        with _explained(self.folder):
            path = shard.write(self.folder, self.name, clips, refused)
        self._add(path)
        if self.bound is not None:
            written = path.stat().st_size
            if self._unchecked is None or self._unchecked + written > self.bound // 50:
                remove_least_recently_used(self.root, self.bound)
                self._unchecked = 0
            else:
                self._unchecked += written

    def describe(self, metadata: Metadata) -> None:
        """Write ``store.json`` where it is not there."""
        if self.metadata() is not None:
            return
        said = {**metadata.plain(), "version": VERSION}
        with _explained(self.folder):
            write_json(self.folder / "store.json", {**said, "sha256": digest([self.name, said])})

    def metadata(self) -> Metadata | None:
        """Return what ``store.json`` says; None where it is missing, damaged or another store's."""
        return metadata_of(self.folder)

    def also_in(self, root: Path) -> Store:
        """Return this store with another folder to write into."""
        other = Store(root, self.name)
        other._clips = {**self._clips}
        other.refused = {**self.refused}
        return other

    def _shards(self) -> list[Path]:
        return sorted(self.folder.glob("*.shard"))

    def _add(self, path: Path) -> None:
        try:
            index: Index | None = shard.read_index(path, self.name)
        except OSError:
            return  # removed by another process meanwhile, or not to be read just now: what is whole stays
        if index is None:
            self._drop(path)
            return
        self.refused |= index.refused
        for key, place in index.clips.items():
            self._clips.setdefault(key, (path, place))

    def _forget(self, path: Path) -> None:
        for key in [key for key, (there, _) in self._clips.items() if there == path]:
            del self._clips[key]

    def _drop(self, path: Path) -> None:
        with suppress(OSError):
            path.unlink()
        self._forget(path)
        self._dropped += 1
        if self._dropped == 1:
            _log.warning(
                "%s: damaged shard dropped, its clips are computed again (said once; `unheard cache --verify` "
                "checks every shard)",
                escaped(path),
            )


def default_folder() -> Path:
    """Return the folder of the user's stores."""
    return cache_folder() / "store"


def default_bound() -> int:
    """Return the bytes that the user's stores may take: ``UNHEARD_CACHE_MAX`` in GB, else 20 GB.

    Raises
    ------
    UsageError
        ``UNHEARD_CACHE_MAX`` is no positive number.
    """
    said = os.environ.get("UNHEARD_CACHE_MAX", "")
    try:
        gigabytes = float(said) if said else BOUND
        if not 0 < gigabytes < float("inf"):
            raise ValueError
    except ValueError:
        raise UsageError(
            f"UNHEARD_CACHE_MAX is {said!r}; give the GB that the cache may take, such as 50"
        ) from None
    return round(gigabytes * 1e9)


def remove_least_recently_used(root: Path, bound: int) -> None:
    """Remove shards that were not used for longest until all take at most nine tenths of the bound.

    Nothing goes below the bound, and never a shard that was used since this process began or within the hour.
    """
    found = []
    for path in root.glob("*/*.shard"):
        with suppress(FileNotFoundError):  # removed by another process meanwhile
            state = path.stat()
            found.append((state.st_mtime, path.name, path, state.st_size))
    total = sum(size for *_, size in found)
    if total <= bound:
        return
    in_use = min(STARTED, time.time() - HOUR)
    for used, _, path, size in sorted(found):
        if used >= in_use or total <= 0.9 * bound:
            return
        with suppress(OSError):
            path.unlink()
            total -= size


def store_name(extractor: str, storage: Storage) -> str:
    """Return the name of the store for an extractor's key and how its output is stored."""
    return digest({"extractor": extractor, "storage": storage.plain(), "version": VERSION})


def metadata_of(folder: Path) -> Metadata | None:
    """Return what a store's ``store.json`` says; None where it is missing, damaged or another store's."""
    try:
        said: dict[str, Any] = json_text.read_object(folder / "store.json")
        sha256 = said.pop("sha256")
        if sha256 != digest([folder.name, said]) or said.pop("version") != VERSION:
            return None
        return Metadata.from_plain(said)
    except (DataError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def intact(path: Path, places: list[Place]) -> bool:
    """Return whether these clips of a shard can be read and are as they were written."""
    return bool(_whole(path, places))


def _whole(path: Path, places: list[Place]) -> bool | None:
    """Return whether these clips of a shard are as they were written; None where it cannot be read just now."""
    try:
        return shard.intact(path, places)
    except OSError:
        return None


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Turn the system's refusal to write into what can be done about it."""
    elsewhere = "set UNHEARD_CACHE (or --out of `unheard extract`) to another folder"
    try:
        yield
    except (MachineError, OSError) as error:
        if isinstance(error, MachineError):  # there was no room
            raise MachineError(
                f"{error}; what was written to {folder} stays and is used again: free some space, store less "
                f"(int8, average, fewer layers, pooled), or {elsewhere}"
            ) from error
        raise MachineError(
            f"clips are missing in the store {folder}, which cannot be written ({error.strerror}); {elsewhere}"
        ) from error
