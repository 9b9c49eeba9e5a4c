"""How much of the audio that a file's header promises is there.

libsndfile shortens the length it reports where a file ends early, so the promise is read from the container
itself: RIFF/WAVE (with RF64 and BW64), Wave64, AIFF, IFF, AU, NIST Sphere, tagged MP3 and Ogg. FLAC keeps its
promise in the number of frames that libsndfile reports.
"""

from __future__ import annotations

import os
import re
import struct
from typing import BinaryIO

from unheard.audio import mpeg

MOST_CHUNKS = 10_000
LONGEST_OGG_PAGE = 27 + 255 + 255 * 255  # bytes


def part_present(file: BinaryIO) -> float | None:
    """Return the part of the promised audio that the file holds, from 0 to 1.

    Parameters
    ----------
    file : open for reading in binary; it is left at its beginning.

    Returns
    -------
    1.0 where all is there or the container promises nothing; ``None`` where the file is cut and does not say how
    much is missing (Ogg).
    """
    file.seek(0, os.SEEK_END)
    size = file.tell()
    file.seek(0)
    head = file.read(40)
    try:
        if head.startswith(b"OggS"):
            return 1.0 if _ogg_ends(file, size) else None
        promised, begin = _promise(file, head)
    except (struct.error, ValueError, IndexError):
        return 1.0  # a header that is cut itself: whoever opens the file will say so
    finally:
        file.seek(0)
    present = max(0, size - begin)
    return 1.0 if promised <= present else present / promised


def _promise(file: BinaryIO, head: bytes) -> tuple[int, int]:
    """Bytes of audio that the header promises, and where they begin; (0, 0) where it promises nothing."""
    kind = head[:4]
    if kind == b"RIFF" and head[8:12] == b"WAVE":
        return _chunk(file, b"data", "<")
    if kind == b"RIFX" and head[8:12] == b"WAVE":
        return _chunk(file, b"data", ">")
    if kind in (b"RF64", b"BW64"):
        _, ds64 = _chunk(file, b"ds64", "<")
        _, begin = _chunk(file, b"data", "<")
        file.seek(ds64 + 8)
        return (struct.unpack("<Q", file.read(8))[0], begin) if ds64 and begin else (0, 0)
    if kind == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _chunk(file, b"SSND", ">")
    if kind == b"FORM":
        return _chunk(file, b"BODY", ">")
    if kind == b"riff" and head[24:28] == b"wave":
        return _wave64(file)
    if kind in (b".snd", b"dns."):
        begin, length = struct.unpack(">II" if kind == b".snd" else "<II", head[4:12])
        return (
            (0, 0) if length == 0xFFFFFFFF else (length, begin)
        )  # all ones: length unknown, by the format itself
    if head.startswith(b"NIST_1A"):
        return _nist(file, int(head[8:16]))
    if head.startswith(b"ID3") or (head[0] == 0xFF and head[1] & 0xE0 == 0xE0):
        tag = mpeg.tag(file)
        return (tag.promised, tag.begin) if tag else (0, 0)
    return 0, 0


def _chunk(file: BinaryIO, name: bytes, order: str) -> tuple[int, int]:
    """Length and beginning of the first chunk with this name in a file of chunks."""
    place = 12
    for _ in range(MOST_CHUNKS):
        file.seek(place)
        found, length = struct.unpack(order + "4sI", file.read(8))
        if found == name:
            return length, place + 8
        place += 8 + length + length % 2
    return 0, 0


def _wave64(file: BinaryIO) -> tuple[int, int]:
    place = 40
    for _ in range(MOST_CHUNKS):
        file.seek(place)
        found, length = struct.unpack("<4s12xQ", file.read(24))
        if found == b"data":
            return length - 24, place + 24
        if length < 24:
            break
        place += (length + 7) // 8 * 8
    return 0, 0


def _nist(file: BinaryIO, begin: int) -> tuple[int, int]:
    file.seek(0)
    fields = dict(re.findall(rb"^(\w+) -i (\d+)", file.read(min(begin, 65536)), re.MULTILINE))
    counts = [int(fields.get(name, 0)) for name in (b"sample_count", b"channel_count", b"sample_n_bytes")]
    return counts[0] * counts[1] * counts[2], begin


def _ogg_ends(file: BinaryIO, size: int) -> bool:
    """Whether the last page is whole and carries the mark of the end of the stream (RFC 3533, section 6)."""
    file.seek(max(0, size - 2 * LONGEST_OGG_PAGE))
    tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return False
    body = sum(page[27 : 27 + page[26]])
    return bool(page[5] & 4) and len(page) >= 27 + page[26] + body
