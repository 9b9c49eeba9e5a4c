"""A function with planted faults, for the test of the oracle: the content of a file says what goes wrong."""

from __future__ import annotations

import ctypes
import itertools
import os
import time
import warnings
from pathlib import Path

import numpy as np

from unheard.errors import DataError

_calls = itertools.count()


class Panic(BaseException):
    """What is no ``Exception``, as some native libraries raise."""


def read(path: Path) -> object:
    """Do what the file says."""
    fault = path.read_text()
    if fault == "refused":
        raise DataError(f"{path}: refused, as it must be")
    if fault == "nameless":
        raise DataError("something is wrong somewhere")
    if fault == "foreign":
        raise OverflowError("int too big")
    if fault == "panic":
        raise Panic("a panic")
    if fault == "hang":
        time.sleep(60)
    if fault == "loop":
        while True:
            pass
    if fault == "died":
        os.kill(os.getpid(), 11)
    if fault == "touched":
        return np.ones(80 << 20, np.uint8).sum()
    if fault == "asked":
        return np.empty(1 << 40, np.uint8)
    if fault == "stdout":
        ctypes.CDLL(None).puts(b"by a C library")
    if fault == "stderr":
        os.write(2, b"by a C library\n")
    if fault == "warning":
        warnings.warn("by Python", stacklevel=1)
    if fault == "repeat":
        return next(_calls)
    return {"wave": np.arange(3.0), "flags": ("clipped",), "path": path, "of": {1, 2}}
