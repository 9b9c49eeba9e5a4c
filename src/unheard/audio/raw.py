"""Samples without a header, as a pipe or a socket gives them: 16-bit integers, little-endian, one channel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unheard.errors import AudioError

#: How files of sound begin that are sent by mistake; as samples nobody's recording begins so.
_FILES = (b"RIFF", b"RF64", b"fLaC", b"OggS", b"ID3\3", b"ID3\4", b"\x1aE\xdf\xa3")


class RawSamples:
    """Turns bytes, in pieces of any length, into floats of full scale ±1; half a sample waits for the rest."""

    def __init__(self) -> None:
        self._rest = b""
        self._begun = False

    def add(self, data: bytes) -> NDArray[np.float32]:
        """Return the samples, (n,), that are whole with this piece.

        Raises
        ------
        AudioError
            The first piece is the beginning of a file, whose header and compressed sound are no samples.
        """
        if not self._begun and (data.startswith(_FILES) or data[4:8] == b"ftyp"):
            raise AudioError(
                "the sound begins as a file does; send samples alone, as `ffmpeg … -f s16le -ac 1 -ar HZ -` gives"
            )
        self._begun = self._begun or bool(data)
        data = self._rest + data
        whole = len(data) // 2 * 2
        self._rest = data[whole:]
        return np.frombuffer(data[:whole], "<i2").astype(np.float32) / np.float32(32768)
