"""How many threads work where, by the cores that this process may use."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def decoding_threads(device: str) -> int:
    """Return how many threads decode.

    Beside an encoder on the same processor they have little to do; a graphics card waits for them.
    """
    return _cores() if device == "cuda" else max(1, _cores() // 4)


@contextmanager
def all_cores() -> Iterator[None]:
    """Let torch, where an encoder brought it, compute with all cores of this process; then as before."""
    torch = sys.modules.get("torch")
    if torch is None or "OMP_NUM_THREADS" in os.environ:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(_cores())
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
