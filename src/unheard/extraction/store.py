"""The layer-wise store: what an encoder gave for each clip, extracted once and read many times from memory maps.

A store is a folder named by the digest of all that decides about its content: the encoder's key, what is kept
of it, and the versions of what decodes. It holds ``store.json``, which says so in words, and shards
(``shard.py``). Within it a clip is known by its content. Any number of processes may read and write: a file
appears whole or not at all, and one that two of them write is the same. A shard that is damaged, cut short or
foreign is dropped, said once, and its clips count as missing. Nothing here is ever removed to save room:
``unheard cache --clear`` does that.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from unheard.audio.decode import VERSIONS
from unheard.errors import MachineError, UnheardError
from unheard.extraction import shard
from unheard.extraction.extracted import Described, Features, Stored
from unheard.extraction.shard import Index, Place
from unheard.extraction.storage import Keep, Packed
from unheard.files import cache_folder, digest, write_json
from unheard.settings import construct, plain

__all__ = ["Described", "Features", "Keep", "Store", "Stored", "default_folder", "described", "store_name"]

VERSION = 1  # of what is written
HOUR = 3600.0
CHECKERS = 4  # threads that read shards

_log = logging.getLogger(__name__)


class Store:
    """One store, opened: what is in it by clip key.

    Parameters
    ----------
    folder : of all stores.
    name : of this one, see ``store_name``.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder / name
        self.name = name
        self.refused: dict[str, str] = {}
        self._dropped = 0
        self._clips: dict[str, tuple[Path, Place]] = {}
        self._remove_leftovers(older_than=HOUR)
        for path in self._shards():
            self._add(path)

    def __contains__(self, key: str) -> bool:
        return key in self._clips or key in self.refused

    def place(self, key: str) -> tuple[Path, Place]:
        """Shard and place of a clip."""
        return self._clips[key]

    def check(self, keys: Iterable[str]) -> None:
        """Read these clips, and drop the shards in which one was altered."""
        wanted: dict[Path, list[Place]] = {}
        for key in keys:
            if key in self._clips:
                path, place = self._clips[key]
                wanted.setdefault(path, []).append(place)
        with ThreadPoolExecutor(CHECKERS) as pool:
            for path, whole in zip(wanted, pool.map(intact, wanted, wanted.values()), strict=True):
                if not whole:
                    self._drop(path)

    def write(self, clips: Mapping[str, Packed], refused: Mapping[str, str]) -> None:
        """Write a shard.

        Raises
        ------
        MachineError
            Where the disk is full or the folder cannot be written; what is in the store stays.
        """
        with _explained(self.folder):
            self._add(shard.write(self.folder, self.name, clips, refused))

    def describe(self, described: Described) -> None:
        """Write ``store.json`` where it is not there."""
        if self.described() is not None:
            return
        said = {**plain(described), "keep": plain(described.keep), "version": VERSION}
        with _explained(self.folder):
            write_json(self.folder / "store.json", {**said, "sha256": digest([self.name, said])})

    def described(self) -> Described | None:
        """What ``store.json`` says; None where it is missing, damaged or another store's."""
        return described(self.folder)

    def _shards(self) -> list[Path]:
        return sorted(self.folder.glob("*.shard"))

    def _add(self, path: Path) -> None:
        try:
            index: Index | None = shard.read_index(path, self.name)
        except FileNotFoundError:
            return  # removed by another process meanwhile
        except OSError:
            index = None
        if index is None:
            self._drop(path)
            return
        self.refused |= index.refused
        for key, place in index.clips.items():
            self._clips.setdefault(key, (path, place))

    def _drop(self, path: Path) -> None:
        with suppress(OSError):
            path.unlink()
        for key in [key for key, (there, _) in self._clips.items() if there == path]:
            del self._clips[key]
        self._dropped += 1
        if self._dropped == 1:
            _log.warning(
                "%s: damaged shard dropped, its clips are computed again (said once; `unheard cache --verify` "
                "checks every shard)",
                path,
            )

    def _remove_leftovers(self, older_than: float) -> None:
        """Remove what a killed process left half written; what is younger may still be in hand."""
        for path in self.folder.glob(".*.part"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > older_than:
                    path.unlink()


def default_folder() -> Path:
    """Folder of the user's stores."""
    return cache_folder() / "layers"


def store_name(encoder: str, keep: Keep) -> str:
    """Name of the store for an encoder (``encoders.key``) and what is kept of it."""
    return digest({"encoder": encoder, "keep": plain(keep), "decode": VERSIONS, "version": VERSION})


def described(folder: Path) -> Described | None:
    """What a store's ``store.json`` says; None where it is missing, damaged or another store's."""
    try:
        said = json.loads((folder / "store.json").read_text(encoding="utf-8"))
        sha256 = said.pop("sha256")
        if sha256 != digest([folder.name, said]) or said.pop("version") != VERSION:
            return None
        keep: Keep = construct(Keep, said.pop("keep"), "keep")
        return Described(keep=keep, **{key: _tuple(value) for key, value in said.items()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, UnheardError):
        return None


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def intact(path: Path, places: list[Place]) -> bool:
    """Whether these clips of a shard can be read and are as they were written."""
    try:
        return shard.intact(path, places)
    except OSError:
        return False


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Turn the system's refusal to write into what can be done about it."""
    elsewhere = "set UNHEARD_CACHE (or --out of `unheard extract`) to another folder"
    try:
        yield
    except (MachineError, OSError) as error:
        number = error.errno if isinstance(error, OSError) else errno.ENOSPC  # what atomic writes make of it
        if number in (errno.ENOSPC, errno.EDQUOT):
            raise MachineError(
                f"the disk is full; what was written to {folder} stays and is used again: free some space, keep "
                f"less (int8, average, fewer entries, pooled), or {elsewhere}"
            ) from error
        raise MachineError(
            f"clips are missing in the store {folder}, which cannot be written ({os.strerror(number or 0)}); "
            f"{elsewhere}"
        ) from error
