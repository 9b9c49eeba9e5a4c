"""Length of an MP3 file, from its own frame headers (ISO 11172-3, 13818-3 and the unofficial 2.5).

libsndfile guesses the length of an MP3 without a ``Xing`` or ``Info`` tag from its first frames and stops reading
there, so a file of varying bit rate would lose its end in silence. Reading the headers shows it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from unheard.audio.content import Content

_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # by version bits
_KILOBITS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KILOBITS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
MAX_TAGS = 100


@dataclass(frozen=True)
class Tag:
    """What a ``Xing`` or ``Info`` tag promises: bytes of audio from ``begin`` on."""

    begin: int
    promised: int


def tag(content: Content) -> Tag | None:
    """Return the length tag in the first frame, if there is one."""
    begin = after_id3(content)
    head = content.at(begin, 192)
    if _frame(head[:4]) is None:
        return None
    place = max(head.find(b"Xing"), head.find(b"Info"))
    if place < 0 or len(head) < place + 16:
        return None
    flags, first, second = struct.unpack(">III", head[place + 4 : place + 16])
    return Tag(begin, second if flags & 1 else first) if flags & 2 else None


def counted_samples(content: Content) -> int:
    """Count the samples of each channel, from the first frame to where frames stop following each other."""
    place = after_id3(content)
    samples = 0
    while (frame := _frame(content.at(place, 4))) and place + frame[0] <= content.size:
        place += frame[0]
        samples += frame[1]
    return samples


def after_id3(content: Content) -> int:
    """Return the place of the first byte after the ID3v2 tags that a file begins with; 0 where there are none."""
    place = 0
    for _ in range(MAX_TAGS):
        head = content.at(place, 10)
        if len(head) < 10 or not head.startswith((b"ID3\2", b"ID3\3", b"ID3\4")):
            break
        a, b, c, d = (byte & 0x7F for byte in head[6:])
        place += 10 + (a << 21 | b << 14 | c << 7 | d)
    return place


def is_frame(head: bytes) -> bool:
    """Return whether four bytes are the header of an MPEG audio frame of any layer."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    return (
        head[1] & 0x18 != 0x08 and head[1] & 0x06 != 0 and head[2] & 0xF0 != 0xF0 and head[2] & 0x0C != 0x0C
    )


def _frame(head: bytes) -> tuple[int, int] | None:
    """Return the bytes and samples of a layer III frame by its header; ``None`` where it is none."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return None
    version, bits, rate, padding = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or bits in (0, 15) or rate == 3:
        return None
    kilobits = (_KILOBITS_1 if version == 3 else _KILOBITS_2)[bits]
    samples = 1152 if version == 3 else 576
    return samples // 8 * kilobits * 1000 // _RATES[version][rate] + padding, samples
