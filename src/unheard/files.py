"""Digests, atomic writes and the cache folder: everything that touches the disk with a promise."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

from unheard.errors import DataError, MachineError, UnheardError, UsageError
from unheard.temporary import SUFFIX, part_file

#: The system's refusals to write more, in words.
_NO_ROOM = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk is full for this user (quota)",
    errno.EFBIG: "the system allows no file of that size",
}


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys and no spaces, in which equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON of a value, in hexadecimal."""
    return hashlib.sha256(canonical_json(value).encode("utf-8")).hexdigest()


def file_digest(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def regular_file(path: str | os.PathLike[str], error: type[UnheardError] = DataError) -> Path:
    """Return a path that leads to a regular file, through links or not; nothing is opened.

    A pipe would wait for a writer, and a device may have no end.

    Raises
    ------
    error
        There is no such file, it cannot be reached, or it is a folder, a pipe, a socket or a device.
    """
    with _opening(path, error):
        _check_regular(path, os.stat(path).st_mode, error)  # noqa: PTH116 - the name as it was given
    return Path(path)


def open_regular(path: str | os.PathLike[str], error: type[UnheardError] = DataError) -> BinaryIO:
    """Open a regular file for reading; another kind of file is refused unopened.

    Raises
    ------
    error
        As of :func:`regular_file`.
    """
    regular_file(path, error)
    with _opening(path, error):
        # It may be another by now: a pipe that is opened like this does not wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            _check_regular(path, os.fstat(descriptor).st_mode, error)
        except BaseException:
            os.close(descriptor)
            raise
        return os.fdopen(descriptor, "rb")


@contextmanager
def _opening(path: str | os.PathLike[str], error: type[UnheardError]) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise error(f"{os.fspath(path)}: no such file") from None
    except (OSError, ValueError) as reason:  # ValueError: a NUL in the name
        said = getattr(reason, "strerror", None) or reason
        raise error(f"{os.fspath(path)}: cannot be opened: {said}") from None


def _check_regular(path: str | os.PathLike[str], mode: int, error: type[UnheardError]) -> None:
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, a socket or a device"
        raise error(f"{os.fspath(path)}: not a file but {kind}, expected a regular file")


def file_inside(folder: str | os.PathLike[str], name: str, error: type[UnheardError] = DataError) -> Path:
    """Return the path of a regular file in a folder or below it, by a name that somebody else wrote.

    Nothing is opened. A link is followed where it leads to a file in the folder, too.

    Raises
    ------
    error
        The name is absolute or leaves the folder, by itself or through links, or names no regular file.
    """
    place = Path(folder) / name
    try:
        inside = place.resolve().is_relative_to(Path(folder).resolve())
    except (OSError, ValueError, RuntimeError) as reason:  # a NUL in the name, links in a circle
        raise error(f"{folder}: {name[:200]!a} cannot be reached: {reason}") from None
    if Path(name).is_absolute() or ".." in Path(name).parts or not inside:
        raise error(
            f"{folder}: {name[:200]!a} leads out of this folder, and is not opened; files in the folder are read"
        )
    return regular_file(place, error)


def read_bytes(path: str | os.PathLike[str], most: int, error: type[UnheardError] = DataError) -> bytes:
    """Return the bytes of a regular file of at most ``most`` bytes; its size is looked at before it is read.

    Raises
    ------
    error
        No regular file, one that cannot be read, or a larger one.
    """
    try:
        with open_regular(path, error) as file:
            size = os.fstat(file.fileno()).st_size
            if size <= most:
                data = file.read(most + 1)
                size = len(data)
    except OSError as reason:
        raise error(f"{os.fspath(path)}: cannot be read: {reason.strerror or reason}") from reason
    if size > most:
        raise error(
            f"{os.fspath(path)}: holds {size:,} bytes, more than the {most:,} that are read of such a file"
        )
    return data


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
    """Open a temporary file in the folder of ``path`` that takes its name only once it is whole and synced.

    A reader never sees half a file; an exception or a kill leaves what was there before.

    Raises
    ------
    MachineError
        The disk is full, or the system allows no file of that size.
    """
    target = Path(path)
    with _named(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with part_file(target) as (file, part):
            yield file
            file.flush()
            os.fsync(file.fileno())
            # Temporary files are private; give this one the permissions of any other new file.
            umask = os.umask(0)
            os.umask(umask)
            part.chmod(0o666 & ~umask)
            part.replace(target)


@contextmanager
def _named(target: Path) -> Iterator[None]:
    """Name the file that could not be written, whatever a library made of the system's refusal."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, OSError):
            cause = cause.__cause__ or cause.__context__
        if cause is not None and cause.errno in _NO_ROOM:
            raise MachineError(f"{_NO_ROOM[cause.errno]}: could not write {target}") from error
        if isinstance(error, OSError) and str(error.filename).endswith(SUFFIX):
            error.filename = str(target)
        raise


def write_bytes(path: str | os.PathLike[str], data: bytes | memoryview) -> None:
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
        raise UsageError(f"{target} exists; choose another name or give --force (force=True in Python)")
    return target


def cache_folder() -> Path:
    """Return the folder of what can be computed again: ``UNHEARD_CACHE``, else the user's cache folder."""
    chosen = os.environ.get("UNHEARD_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "unheard"
