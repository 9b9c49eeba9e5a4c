"""Digests, atomic writes and the cache folder: everything that touches the disk with a promise."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

from unheard.errors import DataError, MachineError, UsageError


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys and no spaces, in which equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON of a value, in hexadecimal."""
    return hashlib.sha256(canonical_json(value).encode("utf-8")).hexdigest()


def file_digest(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class FileDigests:
    """Digests of files' bytes, each file read once as long as it stays the same; safe for threads.

    Copies in other processes begin with nothing.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[int, ...], str]] = {}
        self._reading: dict[str, Lock] = {}
        self._lock = Lock()

    def of(self, path: str) -> str:
        """Return the SHA-256 of a file's bytes as they are now.

        Raises
        ------
        DataError
            There is no such file, or it cannot be read.
        """
        with self._lock:
            reading = self._reading.setdefault(path, Lock())
        with reading:
            try:
                found = Path(path).stat()
                if not Path(path).is_file():
                    raise DataError("is not a regular file")
                state = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
                known = self._known.get(path)
                if known is None or known[0] != state:
                    known = self._known[path] = (state, file_digest(path))
            except FileNotFoundError:
                raise DataError("no such file") from None
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) else None
                raise DataError(f"cannot be opened: {reason or error}") from error
        return known[1]

    def __reduce__(self) -> tuple[type[FileDigests], tuple[()]]:
        """Travel to another process without what is known here."""
        return FileDigests, ()


@contextmanager
def atomic(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a temporary file beside ``path`` that takes its name only once it is whole and synced.

    A reader never sees half a file; an exception or a kill leaves what was there before.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:100]}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes private files; give this one the permissions of any other new file.
        umask = os.umask(0)
        os.umask(umask)
        Path(name).chmod(0o666 & ~umask)
        Path(name).replace(target)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno == 28:
            raise MachineError(
                f"the disk is full: could not write {target}; free some space and run again"
            ) from error
        raise


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write bytes atomically."""
    with atomic(path) as file:
        file.write(data)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write UTF-8 text atomically."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write readable JSON atomically; NaN is refused since it is not JSON."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def new_output(path: str | os.PathLike[str], force: bool = False) -> Path:
    """Return ``path`` for a file about to be written, or refuse where it exists and ``force`` is not given."""
    target = Path(path)
    if target.exists() and not force:
        raise UsageError(f"{target} exists; choose another name or give --force")
    return target


def cache_folder() -> Path:
    """Folder for everything that can be computed again: ``UNHEARD_CACHE``, else the user's cache folder."""
    chosen = os.environ.get("UNHEARD_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "unheard"
