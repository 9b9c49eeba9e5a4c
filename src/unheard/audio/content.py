"""Bytes of an open file by their place, read without moving where anybody else reads it."""

from __future__ import annotations

import io
import os
from typing import Any, BinaryIO


class Content:
    """What a regular file holds.

    Attributes
    ----------
    size : bytes, when it was opened.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._descriptor = file.fileno()
        self.size = os.fstat(self._descriptor).st_size

    def at(self, place: int, count: int) -> bytes:
        """Return up to ``count`` bytes from a place on; fewer, or none, where the file ends before."""
        if not 0 <= place < self.size:
            return b""
        return os.pread(self._descriptor, min(count, self.size - place), place)


class Mended(io.RawIOBase):
    """A file as if other bytes stood at one place of it; for reading."""

    def __init__(self, content: Content, place: int, mended: bytes) -> None:
        self._content, self._where, self._mended = content, place, mended
        self._place = 0

    def seekable(self) -> bool:
        """Return True."""
        return True

    def readable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place, never before the beginning."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._content.size}[whence]
        self._place = max(0, base + offset)
        return self._place

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer as far as the file goes, and return how many bytes that are."""
        view = memoryview(buffer).cast("B")
        data = bytearray(self._content.at(self._place, len(view)))
        for k, byte in enumerate(self._mended, start=self._where - self._place):
            if 0 <= k < len(data):
                data[k] = byte
        view[: len(data)] = data
        self._place += len(data)
        return len(data)
