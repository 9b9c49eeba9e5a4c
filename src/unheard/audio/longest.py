"""How much a recording holds, for those who take recordings of strangers: known before it is decoded for good."""

from __future__ import annotations

import os

from unheard.audio.source import opened
from unheard.errors import AudioError

#: A recording may hold as many samples, of all channels together, as stereo of this rate for its longest duration.
SAMPLES_A_SECOND = 2 * 96_000


def check_length(path: str | os.PathLike[str], seconds: float) -> None:
    """Refuse a recording that is longer than so many seconds, or unpacks to more than such a one may hold.

    Its header says how long it is; where it leaves that open, as in what a browser records, it is decoded to be
    counted, and no further than the bound.

    Raises
    ------
    AudioError
        It is too long, or cannot be read.
    """
    with opened(path) as source:
        most = int(seconds * min(source.rate, SAMPLES_A_SECOND / source.channels))
        frames = source.promised or source.frames
        if frames is None:
            for _ in source.blocks(0, most + 1):
                pass
            frames = source.place
        if frames > most:
            raise AudioError(
                f"the recording is longer than {most / source.rate:.0f} s, which is all that is taken of "
                f"{source.channels} channels at {source.rate} Hz; cut it into shorter ones"
            )
