"""Arrays that can be computed again, kept on disk under a key that says everything they depend on.

An entry is one file, ``FOLDER/ab/abcd….entry``: eight bytes that name the format, the SHA-256 of key and body, and
the body, an array in NumPy's own format without pickle. It takes its name only when it is whole and synced, so
readers and writers in any number of processes need no lock, and a kill loses the entry in hand at most. A file
that does not match its checksum is dropped, said once, and computed again. Beyond ``max_bytes`` the entries that
were not used for longest go; with several processes writing at once the bound may be passed by 2 % for each.
"""

from __future__ import annotations

import errno
import hashlib
import io
import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard.errors import MachineError
from unheard.files import atomic, cache_folder

MAGIC = b"unheard1"
MAX_BYTES = 20 * 2**30
HOUR = 3600.0

Array = NDArray[Any]
_log = logging.getLogger(__name__)
_KEY = re.compile(r"[0-9a-f]{64}")
_ENTRY = re.compile(r"[0-9a-f]{64}\.entry")
_LEFTOVER = re.compile(r"\.[0-9a-f]{64}\.entry\..*\.part")
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Cache:
    """Arrays on disk by key.

    Parameters
    ----------
    folder : where the entries lie; made when the first is written.
    max_bytes : what all of them together may take.

    Attributes
    ----------
    dropped : damaged entries that this object has met.
    """

    def __init__(self, folder: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> None:
        self.folder = Path(folder)
        self.max_bytes = max_bytes
        self.dropped = 0
        self._read_only = False
        self._unchecked: int | None = None  # bytes written since the bound was last checked

    def get(self, key: str) -> Array | None:
        """Return the array kept under a key, or ``None``; a damaged entry is dropped."""
        path = self._path(key)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        body = _body(key, data)
        if body is None:
            self._drop(path)
            return None
        with suppress(OSError):
            os.utime(path)  # used now
        array: Array = np.lib.format.read_array(io.BytesIO(body), allow_pickle=False)
        return array

    def put(self, key: str, array: Array) -> None:
        """Keep an array under a key (64 hexadecimal digits); in a folder that is read-only, do nothing.

        Raises
        ------
        MachineError
            Where the disk is full or the folder cannot be one.
        ValueError
            Where the array holds objects.
        """
        path = self._path(key)
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, np.asanyarray(array), allow_pickle=False)
        body = buffer.getvalue()
        size = len(MAGIC) + 32 + len(body)
        if self._read_only or size > self.max_bytes:
            return
        try:
            with atomic(path) as file:
                file.write(MAGIC + _checksum(key, body) + body)
        except OSError as error:
            self._refused(error)
            return
        self._keep_bound(size)

    def size(self) -> int:
        """Bytes that all entries take."""
        return sum(entry.size for entry in self._entries())

    def verify(self) -> int:
        """Read every entry, drop what is damaged, and return how many were."""
        damaged = 0
        for entry in self._entries():
            try:
                data = entry.path.read_bytes()
            except OSError:
                continue  # removed by another process meanwhile
            if _body(entry.path.name.removesuffix(".entry"), data) is None:
                entry.path.unlink(missing_ok=True)
                damaged += 1
        return damaged

    def clear(self) -> int:
        """Remove every entry, and nothing that is none, and return how many were removed."""
        removed = 0
        for entry in self._entries():
            entry.path.unlink(missing_ok=True)
            removed += 1
        self._remove_leftovers(older_than=0.0)
        for folder in self._folders():
            with suppress(OSError):  # not empty: something else is in it
                folder.rmdir()
        self._unchecked = None
        return removed

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"a cache key is 64 hexadecimal digits, found {key!r}")
        return self.folder / key[:2] / f"{key}.entry"

    def _drop(self, path: Path) -> None:
        with suppress(OSError):
            path.unlink()
        self.dropped += 1
        if self.dropped == 1:
            _log.warning(
                "%s: damaged cache entry dropped, it is computed again (said once; `unheard cache --verify` "
                "checks every entry)",
                path,
            )

    def _refused(self, error: OSError) -> None:
        """Go on without writing where the folder is read-only, else say what is wrong with it."""
        if error.errno in _READ_ONLY:
            self._read_only = True
            _log.info("%s is read-only: entries are read and none are written", self.folder)
        elif error.errno in _FULL:
            raise MachineError(
                f"the disk is full: could not write to the cache {self.folder}; free some space, or set "
                "UNHEARD_CACHE to another folder"
            ) from error
        else:
            raise MachineError(
                f"the cache folder {self.folder} cannot be written ({error.strerror}); set UNHEARD_CACHE to "
                "another folder"
            ) from error

    def _keep_bound(self, written: int) -> None:
        """Remove the entries that were not used for longest, looking at the folder only now and then."""
        if self._unchecked is not None and self._unchecked + written <= self.max_bytes // 50:
            self._unchecked += written
            return
        self._unchecked = 0
        self._remove_leftovers(older_than=HOUR)
        entries = sorted(self._entries(), key=lambda entry: (entry.used, entry.path.name))
        total = sum(entry.size for entry in entries)
        if total <= self.max_bytes:
            return
        for entry in entries[:-1]:  # the last is the one just written
            with suppress(OSError):
                entry.path.unlink()
                total -= entry.size
            if total <= self.max_bytes * 0.9:
                return

    def _entries(self) -> Iterator[_Entry]:
        for path, found in self._files():
            if _ENTRY.fullmatch(path.name) and path.name[:2] == path.parent.name:
                yield _Entry(path, found.st_size, found.st_mtime_ns)

    def _remove_leftovers(self, older_than: float) -> None:
        """Remove what a killed process left half written; what is younger may still be in hand."""
        for path, found in self._files():
            if _LEFTOVER.fullmatch(path.name) and time.time() - found.st_mtime >= older_than:
                with suppress(OSError):
                    path.unlink()

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        for folder in self._folders():
            for path in sorted(folder.iterdir()):
                with suppress(FileNotFoundError):  # removed by another process meanwhile
                    yield path, path.stat(follow_symlinks=False)

    def _folders(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return sorted(path for path in self.folder.glob("[0-9a-f][0-9a-f]") if path.is_dir())


def default_cache() -> Cache:
    """Return the user's feature cache."""
    return Cache(cache_folder() / "features")


@dataclass(frozen=True)
class _Entry:
    path: Path
    size: int
    used: int  # nanoseconds


def _checksum(key: str, body: bytes) -> bytes:
    """The key is part of it: an entry under another's name is as wrong as a damaged one."""
    return hashlib.sha256(key.encode() + body).digest()


def _body(key: str, data: bytes) -> bytes | None:
    """Body of an entry, ``None`` where the file is not what was written under this key."""
    head = len(MAGIC) + 32
    body = data[head:]
    if data[: len(MAGIC)] != MAGIC or data[len(MAGIC) : head] != _checksum(key, body):
        return None
    return body
