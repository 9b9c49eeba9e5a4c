"""Hidden files and folders that will be renamed, and the removal of those that were left behind.

Whoever writes one holds a lock on it, of which the system lets go when the process ends, however it ends. So the
next process that writes in the same place knows what nobody writes any more, and removes it.
"""

from __future__ import annotations

import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

#: How the names of all of these end. They begin with a dot and the name of what they will become.
SUFFIX = ".unheard.part"


@contextmanager
def part_file(target: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """Yield a new hidden file next to ``target``, open for writing, and its path; it is removed unless renamed."""
    sweep(target)
    while True:
        handle, name = tempfile.mkstemp(SUFFIX, _prefix(target), target.parent)
        if _lock(handle, name):
            break
        os.close(handle)
    with os.fdopen(handle, "wb") as file:
        try:
            yield file, Path(name)
        finally:
            Path(name).unlink(missing_ok=True)


@contextmanager
def part_folder(target: Path) -> Iterator[Path]:
    """Yield a new hidden folder next to ``target``; it goes unless it was renamed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    sweep(target)
    while True:
        part = Path(tempfile.mkdtemp(SUFFIX, _prefix(target), target.parent))
        handle = os.open(part, os.O_RDONLY)
        if _lock(handle, part):
            break
        os.close(handle)
    try:
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)
        os.close(handle)


def sweep(target: Path) -> None:
    """Remove what ended processes left next to ``target``."""
    for left in target.parent.glob(f"{glob.escape(_prefix(target))}*{SUFFIX}"):
        _remove(left)


def sweep_folder(folder: Path) -> None:
    """Remove what processes that have ended left in a folder, whatever it was to become."""
    for left in folder.glob(f".*{SUFFIX}"):
        _remove(left)


def _prefix(target: Path) -> str:
    # A name may have 255 bytes; one of a file that exists may be that long already.
    return f".{target.name.encode('utf-8', 'surrogateescape')[:100].decode('utf-8', 'ignore')}."


def _lock(handle: int, path: str | Path) -> bool:
    """Lock what was made a moment ago; False where another process removed it before that."""
    with suppress(OSError):  # a file system without locks, on which nothing is removed either
        fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        return os.path.samestat(os.fstat(handle), Path(path).stat())
    except FileNotFoundError:
        return False


def _remove(left: Path) -> None:
    with suppress(OSError), held(left):  # where it is in hand, or not ours to remove, it stays
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the lock of a file or folder, whatever it is called meanwhile.

    Raises
    ------
    OSError
        It is not there, cannot be locked, or another process holds it.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)
