"""The normalisation of frames that Kaldi's networks come with, in its text format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unheard.errors import DataError
from unheard.files import read_bytes

Array = NDArray[np.float32]
#: Of the file; FSMN's has 8 kB.
MAX_BYTES = 2**24


def kaldi_norm(path: Path) -> tuple[Array, Array]:
    """Read ``AddShift`` and ``Rescale`` of a normalisation in Kaldi's nnet text format, (dims,) each.

    Raises
    ------
    DataError
        A missing file, or one without the two rows of equal length.
    """
    try:
        words = read_bytes(path, MAX_BYTES).decode("utf-8").split()
    except ValueError as error:
        raise DataError(f"{path}: not the text of a normalisation") from error
    rows = []
    for kind in ("<AddShift>", "<Rescale>"):
        try:
            start = words.index("[", words.index(kind)) + 1
            rows.append(np.array(words[start : words.index("]", start)], dtype=np.float32))
        except ValueError as error:
            raise DataError(f"{path}: no numbers in brackets after {kind}") from error
    if rows[0].shape != rows[1].shape or not all(np.isfinite(row).all() for row in rows):
        raise DataError(
            f"{path}: shift {rows[0].shape} and scale {rows[1].shape} must be finite and of one length"
        )
    return rows[0], rows[1]
