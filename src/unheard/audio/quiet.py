"""Keeps what libsndfile and its libraries print about damaged recordings off the terminal, and nothing else.

libmpg123 prints with ``fprintf(stderr, …)``, the reader of ALAC with ``printf``, and neither can be told not to.
Descriptors 1 and 2 belong to the whole process, in which other threads print meanwhile. C's ``stdout`` and
``stderr`` are variables, which glibc lets a program set, and through which Python does not print: while libsndfile
reads, they name a stream to nowhere. Elsewhere than on glibc nothing is changed.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock


class _Streams:
    """C's ``stdout`` and ``stderr``, and how many threads want them to be silent."""

    def __init__(self) -> None:
        libc = ctypes.CDLL(None)
        libc.gnu_get_libc_version  # noqa: B018 - missing elsewhere, where the variables are not to be set
        libc.fopen.restype = ctypes.c_void_p
        self._variables = [ctypes.c_void_p.in_dll(libc, name) for name in ("stdout", "stderr")]
        self._usual = [variable.value for variable in self._variables]
        nowhere = libc.fopen(os.devnull.encode(), b"w")
        self._nowhere = [nowhere, nowhere] if nowhere else self._usual
        self._inside = 0
        self._lock = Lock()

    def enter(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._usual = [variable.value for variable in self._variables]
                self._set(self._nowhere)
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._set(self._usual)

    def begin_again(self) -> None:
        """Be as before in a process that was forked while another thread was inside."""
        if self._inside:
            self._set(self._usual)
        self._inside, self._lock = 0, Lock()

    def _set(self, streams: list[int | None]) -> None:
        for variable, stream in zip(self._variables, streams, strict=True):
            variable.value = stream


@cache
def _streams() -> _Streams | None:
    try:
        streams = _Streams()
    except (AttributeError, OSError, TypeError, ValueError):
        return None
    os.register_at_fork(after_in_child=streams.begin_again)
    return streams


@contextmanager
def quiet() -> Iterator[None]:
    """Let C libraries print to nowhere, whatever they print; in any number of threads at once."""
    streams = _streams()
    if streams is None:
        yield
        return
    streams.enter()
    try:
        yield
    finally:
        streams.leave()
