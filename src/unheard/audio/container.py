"""What container a file is, by its first bytes, and how much of the audio that its header promises is there.

Only containers that recordings come in are handed to libsndfile: RIFF/WAVE, RF64, Wave64, AIFF, AU, CAF, NIST
Sphere, FLAC, Ogg and MPEG audio. It knows others, which nobody records speech in, and whose readers print on
standard output (SDS), or take almost anything for audio (HTK, PAF, sampler instruments).

libsndfile shortens the length it reports where a file ends early, so the promise is read from the container
itself: RIFF/WAVE, Wave64, AIFF, AU, NIST Sphere, tagged MP3 and Ogg. FLAC keeps its promise in the number of
frames that libsndfile reports. Videos and other compressed audio are told here, too, and decoded elsewhere
(``unheard.audio.media``). A WAV that was written to a pipe, or whose writer died, promises nothing: its
length was left at 0 or about 2 or 4 GB, the largest number there is, and the audio goes on to the end of the file.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from enum import StrEnum

from unheard.audio import mpeg
from unheard.audio.content import Content
from unheard.errors import AudioError

MAX_CHUNKS = 10_000
LONGEST_OGG_PAGE = 27 + 255 + 255 * 255  # bytes
_OPEN = {"I": 0xFFFFFFFF, "Q": 0xFFFFFFFFFFFFFFFF}  # what stands for a length that is not known


class Kind(StrEnum):
    """A container that is read."""

    WAVE = "WAV"
    RF64 = "RF64"
    WAVE64 = "Wave64"
    AIFF = "AIFF"
    AU = "AU"
    CAF = "CAF"
    NIST = "NIST Sphere"
    FLAC = "FLAC"
    OGG = "Ogg"
    MPEG = "MP3"
    MP4 = "MP4 (M4A, MOV, 3GP)"
    MATROSKA = "WebM (Matroska)"
    FLV = "FLV"
    AMR = "AMR"
    AAC = "AAC"
    AVI = "AVI"


#: FFmpeg's name of each container that PyAV reads.
FFMPEG = {
    Kind.MP4: "mov",
    Kind.MATROSKA: "matroska",
    Kind.FLV: "flv",
    Kind.AMR: "amr",
    Kind.AAC: "aac",
    Kind.AVI: "avi",
}


@dataclass(frozen=True)
class Container:
    """What the container says.

    Attributes
    ----------
    part
        Share of the promised audio that the file holds, from 0 to 1; 1 where it promises nothing, ``None`` where
        the file is cut and does not say how much is missing (Ogg).
    mended
        Place of a length that was left open, and the bytes that must stand there instead.
    """

    kind: Kind
    part: float | None = 1.0
    mended: tuple[int, bytes] | None = None


@dataclass(frozen=True)
class _Promise:
    """``length`` bytes of audio from ``begin`` on, by the number of this ``form`` at ``place``."""

    length: int
    begin: int
    place: int = 0
    form: str = ""


def container(content: Content, convert: str) -> Container:
    """Return what container a file is, and how much of it is there.

    ``convert`` is the command that converts it, for the message where it is none.

    Raises
    ------
    AudioError
        It is none of those that are read.
    """
    kind = kind_of(content)
    if kind is None:
        raise AudioError(_not_audio(content, convert))
    if kind in FFMPEG:
        return Container(kind)
    if kind is Kind.OGG:
        return Container(kind, 1.0 if _ogg_ends(content) else None)
    promise = _promise(content, kind)
    if promise is None:
        return Container(kind)
    present = content.size - promise.begin
    if kind in (Kind.WAVE, Kind.RF64) and _left_open(content, promise):
        return Container(kind, mended=(promise.place, _written(present, promise.form)))
    return Container(kind, 1.0 if promise.length <= max(0, present) else max(0, present) / promise.length)


def is_binary(line: bytes) -> bool:
    """Return whether bytes are the beginning of a recording rather than a line of text."""
    texts = (b"NIST_1A", b"#!AMR", b"ID3", b"\x1aE\xdf\xa3")  # which need not hold a NUL in their first line
    return b"\0" in line or line.startswith(texts) or mpeg.is_frame(line[:4])


def kind_of(content: Content) -> Kind | None:
    """Return what container a file is by its first bytes; None where it is none that is read."""
    head = content.at(0, 40)
    behind = content.at(mpeg.after_id3(content), 4)
    if head[:4] in (b"RIFF", b"RIFX") and head[8:12] == b"WAVE":
        return Kind.WAVE
    if head[:4] == b"RF64" and head[8:12] == b"WAVE":
        return Kind.RF64
    if head[:8] == b"riff\x2e\x91\xcf\x11" and head[24:28] == b"wave":
        return Kind.WAVE64
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return Kind.AIFF
    if head[:4] in (b".snd", b"dns."):
        return Kind.AU
    if head[:4] == b"caff" and head[8:12] == b"desc":
        return Kind.CAF
    if head[:8] == b"NIST_1A\n":
        return Kind.NIST
    if head[:4] == b"OggS":
        return Kind.OGG
    if head[4:8] in (b"ftyp", b"moov", b"mdat"):
        return Kind.MP4
    if head[:4] == b"\x1aE\xdf\xa3":
        return Kind.MATROSKA
    if head[:4] == b"FLV\1":
        return Kind.FLV
    if head[:5] == b"#!AMR":
        return Kind.AMR
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return Kind.AVI
    if behind[:1] == b"\xff" and len(behind) == 4 and behind[1] & 0xF6 == 0xF0:  # ADTS, layer 0
        return Kind.AAC
    if behind == b"fLaC":
        return Kind.FLAC
    return Kind.MPEG if mpeg.is_frame(behind) else None


def _not_audio(content: Content, convert: str) -> str:
    """Return what a file is that is no recording, and what to do."""
    head = content.at(0, 512)
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith(b"version https://git-lfs.github.com/spec/"):
        return "not audio but a pointer of Git LFS: run `git lfs pull` where it was checked out"
    if start.startswith((b"<!doctype html", b"<html")):
        return "not audio but a web page, such as one that asks to sign in: download the recording again"
    if head.isascii() and head.decode().replace("\n", "").replace("\r", "").replace("\t", "").isprintable():
        return f"not audio but text that begins {head[:30].decode()!r}; expected a recording"
    read = ", ".join(kind for kind in Kind if kind not in FFMPEG)
    return f"not audio that is read here ({read}); convert it first, for instance `{convert}`"


def _promise(content: Content, kind: Kind) -> _Promise | None:
    """Return what the header promises; ``None`` where that is nothing, or the header itself is cut."""
    if kind is Kind.WAVE:
        return _chunk(content, b"data", ">I" if content.at(0, 4) == b"RIFX" else "<I")
    if kind is Kind.RF64:
        sizes, data = _chunk(content, b"ds64", "<I"), _chunk(content, b"data", "<I")
        number = content.at(sizes.begin + 8, 8) if sizes else b""
        if sizes is None or data is None or len(number) < 8:
            return None
        return _Promise(struct.unpack("<Q", number)[0], data.begin, sizes.begin + 8, "<Q")
    if kind is Kind.AIFF:
        return _chunk(content, b"SSND", ">I")
    if kind is Kind.WAVE64:
        return _wave64(content)
    if kind is Kind.AU:
        head = content.at(0, 12)
        if len(head) < 12:
            return None
        begin, length = struct.unpack(">II" if head[:4] == b".snd" else "<II", head[4:])
        return None if length == _OPEN["I"] else _Promise(length, begin)
    if kind is Kind.NIST:
        return _nist(content)
    tag = mpeg.tag(content) if kind is Kind.MPEG else None
    return _Promise(tag.promised, tag.begin) if tag else None


def _chunk(content: Content, name: bytes, form: str) -> _Promise | None:
    """Return the first chunk with this name in a file of chunks."""
    place = 12
    for _ in range(MAX_CHUNKS):
        head = content.at(place, 8)
        if len(head) < 8:
            break
        length: int = struct.unpack(form, head[4:])[0]
        if head[:4] == name:
            return _Promise(length, place + 8, place + 4, form)
        place += 8 + length + length % 2
    return None


def _wave64(content: Content) -> _Promise | None:
    place = 40
    for _ in range(MAX_CHUNKS):
        head = content.at(place, 24)
        if len(head) < 24:
            break
        length: int = struct.unpack("<Q", head[16:])[0]
        if length < 24 or length == _OPEN["Q"]:  # its own head is 24 bytes: never filled in
            break
        if head[:4] == b"data":
            return _Promise(length - 24, place + 24)
        place += (length + 7) // 8 * 8
    return None


def _nist(content: Content) -> _Promise | None:
    begin = content.at(8, 8).strip()
    if not begin.isdigit():
        return None
    fields = dict(re.findall(rb"^(\w+) -i (\d{1,18})", content.at(0, min(int(begin), 65536)), re.MULTILINE))
    counts = [int(fields.get(name, 0)) for name in (b"sample_count", b"channel_count", b"sample_n_bytes")]
    return _Promise(counts[0] * counts[1] * counts[2], int(begin))


def _left_open(content: Content, promise: _Promise) -> bool:
    """Return whether a length was never filled in; 0 may also be true if a file holds no audio."""
    if promise.length == _OPEN[promise.form[-1]]:
        return True
    if promise.form[-1] == "I" and promise.length & 0x7FFFFFFF >= 0x7FFFF000:
        return True  # the largest size, signed or not, less some header: what programs write to a pipe
    return promise.length == 0 and not _only_chunks(content, promise.begin)


def _only_chunks(content: Content, place: int) -> bool:
    """Return whether chunks follow each other from a place to the very end."""
    for _ in range(MAX_CHUNKS):
        head = content.at(place, 8)
        if not head:
            return True
        if len(head) < 8 or not head[:4].isascii() or not head[:4].decode("ascii").isprintable():
            return False
        length: int = struct.unpack("<I", head[4:])[0]
        place += 8 + length + length % 2
        if place > content.size + 1:
            return False
    return False


def _written(length: int, form: str) -> bytes:
    if length >= _OPEN[form[-1]]:
        raise AudioError(
            "its header leaves the length open, and it holds more than the 4 GB that a WAV can say; convert it "
            "first, for instance `ffmpeg -i FILE out.flac`"
        )
    return struct.pack(form, length)


def _ogg_ends(content: Content) -> bool:
    """Return whether the last page is whole and marks the end of the stream (RFC 3533, section 6)."""
    begin = max(0, content.size - 2 * LONGEST_OGG_PAGE)
    tail = content.at(begin, content.size - begin)
    page = tail[tail.rfind(b"OggS") :]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return False
    body = sum(page[27 : 27 + page[26]])
    return bool(page[5] & 4) and len(page) >= 27 + page[26] + body
