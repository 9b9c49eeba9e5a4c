"""What a server takes on at most, and the gate that counts what it has taken on."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock

from unheard.serve.errors import BusyError


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Limits:
    """Bounds of a server.

    Attributes
    ----------
    body, memory
        Bytes of one request's body, and of all bodies together that are held at a moment.
    recordings
        Recordings of one request.
    seconds
        Longest recording; given pieces of one may have twice as many together, since people speak at once.
    pieces
        Given pieces of one recording.
    requests, waiting
        Requests whose bodies are read or answered at once, and recordings that wait for a thread or are computed.
    upload_seconds, answer_seconds
        Time in which a body must arrive, and in which each of its recordings must be answered.
    threads
        Threads that compute.
    voices, voices_per_key, voice_seconds
        Voice profiles of all clients, and of one; how long one is kept.
    """

    body: int = 64 * 2**20
    memory: int = 2**30
    recordings: int = 64
    seconds: float = 3600.0
    pieces: int = 10_000
    requests: int = 256
    waiting: int = 512
    upload_seconds: float = 60.0
    answer_seconds: float = 60.0
    threads: int = field(default_factory=cores)
    voices: int = 1000
    voices_per_key: int = 100
    voice_seconds: float = 3600.0


class Gate:
    """Counts requests, bytes and recordings that are in hand; whoever would be one too many is told to come back.

    Attributes
    ----------
    requests, memory, recordings
        What is in hand.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits, self._lock = limits, Lock()
        self.requests = self.memory = self.recordings = 0
        self._seconds = 0.05  # that a recording takes: a mean that forgets

    @property
    def open(self) -> bool:
        """Return whether one more request with one recording would be taken."""
        return self.requests < self._limits.requests and self.recordings < self._limits.waiting

    @contextmanager
    def request(self) -> Iterator[Held]:
        """Count a request, and the bytes that it holds, until it is answered.

        Raises
        ------
        BusyError
            There are as many as are taken.
        """
        with self._lock:
            if self.requests >= self._limits.requests:
                raise self._busy(f"{self.requests} requests are being answered")
            self.requests += 1
        held = Held(self)
        try:
            yield held
        finally:
            with self._lock:
                self.requests -= 1
                self.memory -= held.bytes

    def take(self, count: int) -> None:
        """Count recordings that begin to wait.

        Raises
        ------
        BusyError
            They would be more than are taken.
        """
        with self._lock:
            if self.recordings + count > self._limits.waiting:
                raise self._busy(f"{self.recordings} recordings are waiting")
            self.recordings += count

    def leave(self, seconds: float | None) -> None:
        """Count one recording less, which took so many seconds; None where it was not begun."""
        with self._lock:
            self.recordings -= 1
            if seconds is not None:
                self._seconds += 0.05 * (seconds - self._seconds)

    def add_bytes(self, count: int) -> None:
        """Count bytes of a body.

        Raises
        ------
        BusyError
            All bodies together would be larger than the memory for them.
        """
        with self._lock:
            if self.memory + count > self._limits.memory:
                raise self._busy(f"{self.memory // 2**20} MiB of recordings are held")
            self.memory += count

    def _busy(self, why: str) -> BusyError:
        seconds = math.ceil(self.recordings * self._seconds / self._limits.threads)
        wait = min(60, max(1, seconds))
        return BusyError(f"too much to do: {why}; try again after {wait} s", wait)


class Held:
    """The bytes of one request.

    Attributes
    ----------
    bytes
        How many are held.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate, self.bytes = gate, 0

    def add(self, count: int) -> None:
        """Count more of them; raises :class:`BusyError` as of :meth:`Gate.add_bytes`."""
        self._gate.add_bytes(count)
        self.bytes += count
