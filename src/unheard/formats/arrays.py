"""NumPy's ``.npy`` and ``.npz`` files, their sizes checked before anything is allocated; nothing is unpickled.

Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. Headers are read here, in the one
spelling that NumPy writes, since NumPy evaluates them and allocates what they say.
"""

from __future__ import annotations

import io
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard.errors import DataError, UnheardError
from unheard.files import regular_file

#: Bytes of one array, and of all arrays of an archive unless it takes that much on the disk, too: archives of
#: numbers are hardly smaller than the numbers.
MAX_BYTES, MAX_TIMES = 2**28, 20
MAX_ARRAYS = 1_000_000
BLOCK = 2**20  # bytes that are unpacked at a time

_HEADER = re.compile(
    rb"\{'descr': '([<>|=]?[?bhilqBHILQefdgFDGSUV]|[<>|=]?[biufcSUVO][0-9]{1,9})', 'fortran_order': (True|False), "
    rb"'shape': \(((?:[0-9]{1,15}(?:, ?[0-9]{1,15})*)?),? ?\), ?\}[ \n]*"
)
_MAGIC = b"\x93NUMPY"
#: All that a damaged archive makes its readers raise.
_DAMAGED = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    IndexError,
    OverflowError,
    MemoryError,
    RuntimeError,  # an encrypted member; NotImplementedError, of which one needs another version, is one of these
    struct.error,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
)


@dataclass(frozen=True)
class Head:
    """What a file of an array says of itself: type, shape, order of the axes and where the numbers begin."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool
    start: int

    @property
    def size(self) -> int:
        """Bytes of the numbers."""
        return self.dtype.itemsize * math.prod(self.shape)

    def array(self, file: Any) -> NDArray[Any]:
        """Return the array whose numbers follow in a file, and are all that follows.

        Raises
        ------
        ValueError
            There are fewer, or more.
        """
        data = bytearray(self.size)
        view, place = memoryview(data), 0
        while place < self.size and (count := file.readinto(view[place : place + BLOCK])):
            place += count
        if place < self.size or file.read(1):
            raise ValueError("not as many bytes as its head says")
        return np.ndarray(self.shape, self.dtype, data, order="F" if self.fortran else "C")


class Archive:
    """An ``.npz`` file, its directory and the head of each array checked; arrays are read one by one.

    Parameters
    ----------
    source
        A regular file, or the bytes of one.
    where
        What errors name; the path where it is left out.
    error
        The kind of error that is raised.
    most
        Bytes that all arrays together may take. None: :data:`MAX_BYTES`, or :data:`MAX_TIMES` the size of the
        file where that is more.

    Raises
    ------
    error
        No regular file, no archive, or a damaged or encrypted one; arrays of objects or records; one that is
        larger or smaller than its head says; more than ``most`` bytes, or more than :data:`MAX_BYTES` in one.
    """

    def __init__(
        self,
        source: Path | bytes,
        where: object = None,
        error: type[UnheardError] = DataError,
        most: int | None = None,
    ) -> None:
        self._where, self._error = source if where is None else where, error
        size = len(source) if isinstance(source, bytes) else regular_file(source, error).stat().st_size
        with self._explained():
            self._zip = zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source)
            members = self._zip.infolist()
            allowed = max(MAX_BYTES, MAX_TIMES * size) if most is None else most
            total = sum(member.file_size for member in members)
            if total > allowed:
                raise ValueError(
                    f"its {len(members):,} arrays unpack to {total:,} bytes; at most {allowed:,} are read of a "
                    f"file of {size:,} bytes"
                )
            if len(members) > MAX_ARRAYS:
                raise ValueError(f"{len(members):,} arrays, at most {MAX_ARRAYS:,} are read")
            self._members = {member.filename.removesuffix(".npy"): member for member in members}
            if len(self._members) < len(members):
                raise ValueError("an array stands in it twice")
            self.heads = {name: self._head(member) for name, member in self._members.items()}

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return an array; its bytes are checked against the checksum of the archive."""
        head = self.heads[name]
        with self._explained(), self._zip.open(self._members[name]) as file:
            file.read(head.start)
            return head.array(file)

    def _head(self, member: zipfile.ZipInfo) -> Head:
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or member.flag_bits & 1:
            raise ValueError(
                f"{member.filename!r} is encrypted, or compressed in a way that NumPy does not write"
            )
        with self._zip.open(member) as file:
            head = head_of(file, member.filename)
        if head.start + head.size != member.file_size:
            raise ValueError(
                f"the array {member.filename!r} is of {head.size:,} bytes by its head, and of "
                f"{member.file_size - head.start:,} by the directory of the archive"
            )
        return head

    @contextmanager
    def _explained(self) -> Iterator[None]:
        with explained(self._where, self._error):
            yield


def read_archive(
    source: Path | bytes, where: object = None, error: type[UnheardError] = DataError, most: int | None = None
) -> dict[str, NDArray[Any]]:
    """Return all arrays of an ``.npz`` file by name; parameters and errors are those of :class:`Archive`."""
    archive = Archive(source, where, error, most)
    return {name: archive[name] for name in archive.heads}


def read_array(path: Path, error: type[UnheardError] = DataError) -> NDArray[Any]:
    """Return the array of an ``.npy`` file; errors are those of :func:`read_head`."""
    head = read_head(path, error)
    with explained(path, error), path.open("rb") as file:
        file.seek(head.start)
        return head.array(file)


def read_head(path: Path, error: type[UnheardError] = DataError) -> Head:
    """Return what an ``.npy`` file says of its array.

    Raises
    ------
    error
        No regular file, no array, one of objects or records, one of more than :data:`MAX_BYTES`, or one of
        another size than its head says.
    """
    size = regular_file(path, error).stat().st_size
    with explained(path, error), path.open("rb") as file:
        head = head_of(file, path.name)
        if head.start + head.size != size:
            raise ValueError(f"{head.size:,} bytes by its head, and {size - head.start:,} in the file")
    return head


def head_of(file: Any, name: str) -> Head:
    """Return what a file of an array says of itself; the file is left where the numbers begin.

    Raises
    ------
    ValueError
        It is no array, one of objects or records, or one of more than :data:`MAX_BYTES`.
    """
    start = file.read(len(_MAGIC) + 2)
    version = start[len(_MAGIC) :]
    if start[: len(_MAGIC)] != _MAGIC or version not in (b"\1\0", b"\2\0", b"\3\0"):
        raise ValueError(f"{name!r} is no array in NumPy's format")
    wide = version != b"\1\0"
    length = int.from_bytes(file.read(4 if wide else 2), "little")
    said = _HEADER.fullmatch(file.read(min(length, 4096)))
    if said is None or length > 4096:
        raise ValueError(
            f"the head of the array {name!r} cannot be read; only arrays of numbers and text are"
        )
    try:
        dtype = np.dtype(said[1].decode())
    except TypeError as reason:
        raise ValueError(f"the array {name!r} is of a type that NumPy does not have: {reason}") from reason
    if dtype.kind not in "biufcSU":
        raise ValueError(f"the array {name!r} holds objects or records, which are not read")
    shape = tuple(int(axis) for axis in said[3].split(b",")) if said[3] else ()
    head = Head(dtype, shape, said[2] == b"True", len(start) + (4 if wide else 2) + length)
    if len(shape) > 32 or head.size > MAX_BYTES:
        raise ValueError(
            f"the array {name!r} is of {head.size:,} bytes; at most {MAX_BYTES:,} are read of one"
        )
    return head


@contextmanager
def explained(where: object, error: type[UnheardError]) -> Iterator[None]:
    """Turn whatever a damaged file of arrays makes its readers raise into an error that names the file."""
    try:
        yield
    except _DAMAGED as reason:
        said = getattr(reason, "strerror", None) or str(reason).strip("'") or type(reason).__name__
        raise error(f"{where}: not readable arrays: {said}") from reason
