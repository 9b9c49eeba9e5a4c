"""Keeps what libmpg123 prints about damaged MP3 files off the terminal, and nothing else.

libmpg123 prints with ``fprintf(stderr, …)``, and libsndfile does not let it be told not to. Descriptor 2 belongs
to the whole process, in which other threads print meanwhile. C's ``stderr`` is a variable, which glibc lets a
program set, and through which Python does not print: while libsndfile reads, it names a stream to nowhere.
Elsewhere than on glibc nothing is changed.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock


class _Stream:
    """C's ``stderr``, and how many threads want it to be silent."""

    def __init__(self) -> None:
        libc = ctypes.CDLL(None)
        libc.gnu_get_libc_version  # noqa: B018 - missing elsewhere, where the variable is not to be set
        libc.fopen.restype = ctypes.c_void_p
        self._variable = ctypes.c_void_p.in_dll(libc, "stderr")
        self._usual = self._variable.value
        self._nowhere = libc.fopen(os.devnull.encode(), b"w")
        self._inside = 0
        self._lock = Lock()

    def enter(self) -> None:
        with self._lock:
            if self._inside == 0 and self._nowhere:
                self._usual, self._variable.value = self._variable.value, self._nowhere
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._variable.value = self._usual

    def begin_again(self) -> None:
        """Be as before in a process that was forked while another thread was inside."""
        if self._inside:
            self._variable.value = self._usual
        self._inside, self._lock = 0, Lock()


@cache
def _stream() -> _Stream | None:
    try:
        stream = _Stream()
    except (AttributeError, OSError, TypeError, ValueError):
        return None
    os.register_at_fork(after_in_child=stream.begin_again)
    return stream


@contextmanager
def quiet() -> Iterator[None]:
    """Let C libraries print to nowhere what they print on standard error; in any number of threads at once."""
    stream = _stream()
    if stream is None:
        yield
        return
    stream.enter()
    try:
        yield
    finally:
        stream.leave()
