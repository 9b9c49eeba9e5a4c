"""Small recordings in every container and form of samples that is read, and mutations that know their format."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator, Mapping

import numpy as np
import soundfile
from mutate import INTERESTING, Mutator

RATE = 16_000

FORMS = {
    "WAV": (
        "PCM_16", "PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAW", "ULAW", "IMA_ADPCM", "MS_ADPCM",
        "GSM610", "G721_32", "NMS_ADPCM_16",
    ),
    "WAVEX": ("PCM_16", "FLOAT"),
    "RF64": ("PCM_16", "FLOAT"),
    "W64": ("PCM_16", "IMA_ADPCM", "GSM610"),
    "AIFF": ("PCM_16", "PCM_24", "FLOAT", "ULAW", "IMA_ADPCM"),
    "AU": ("PCM_16", "ULAW", "G721_32", "DOUBLE"),
    "CAF": ("PCM_16", "FLOAT", "ALAC_16", "ALAC_24"),
    "NIST": ("PCM_16", "ULAW"),
    "FLAC": ("PCM_16", "PCM_24", "PCM_S8"),
    "OGG": ("VORBIS", "OPUS"),
    "MP3": ("MPEG_LAYER_III",),
}  # fmt: skip


def recordings() -> dict[str, bytes]:
    """Return about forty recordings of a quarter of a second, by name."""
    rng = np.random.default_rng(0)
    time = np.arange(RATE // 4) / RATE
    wave = 0.3 * np.sin(2 * np.pi * 300 * time) * np.sin(2 * np.pi * 4 * time) + 0.01 * rng.standard_normal(
        len(time)
    )
    both = np.stack([wave, wave[::-1]], axis=1)
    made = {}
    for container, forms in FORMS.items():
        for form in forms:
            made[f"{container} {form}"] = _written(wave, container, form)
    made["WAV of two channels"] = _written(both, "WAV", "PCM_16")
    made["CAF of two channels"] = _written(both, "CAF", "ALAC_16")
    made["CAF of many packets"] = _written(np.tile(0.01 * wave, 10), "CAF", "ALAC_16")
    made["big-endian WAV"] = _written(wave, "WAV", "PCM_16", endian="BIG")
    made["AU from the other end"] = _written(wave, "AU", "PCM_16", endian="LITTLE")
    tag = b"ID3\x04\0\0\0\0\0\x15TIT2\0\0\0\x0b\0\0\x03recording\0"
    for container in ("FLAC PCM_16", "MP3 MPEG_LAYER_III"):
        made[f"tagged {container}"] = tag + made[container]
    wav = made["WAV PCM_16"]
    made["WAV with chunks"] = wav[:12] + _chunk(b"LIST", b"INFOISFT\5\0\0\0name\0\0") + wav[12:] + _chunk(
        b"cue ", struct.pack("<II4sIII", 1, 1, b"data", 0, 0, 0)
    )  # fmt: skip
    form = struct.pack("<HHIIHHHHIHHH", 0x55, 1, RATE, 8000, 1, 0, 12, 1, 2, 576, 1, 1393)
    made["WAV of MP3"] = (
        b"RIFF\xff\xff\xff\xffWAVE" + _chunk(b"fmt ", form) + _chunk(b"data", made["MP3 MPEG_LAYER_III"])
    )
    made["WAV of open length"] = wav[:4] + b"\xff" * 4 + wav[8:40] + bytes(4) + wav[44:]
    return made


def _written(wave: np.ndarray, container: str, form: str, endian: str = "FILE") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, wave, RATE, format=container, subtype=form, endian=endian)
    return file.getvalue()


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data


#: Where numbers stand behind a marker: distance from its first byte, and width.
_RIFF = [(4, 4)]
FIELDS: Mapping[bytes, list[tuple[int, int]]] = {
    **dict.fromkeys((b"RIFF", b"RIFX", b"FORM", b"data", b"LIST", b"cue ", b"FVER", b"PEAK", b"ISFT"), _RIFF),
    b"fmt ": [(4, 4), (12, 4), (16, 4), (28, 4), (36, 4), *((place, 2) for place in (8, 10, 20, 22, 24, 26, 32))],
    b"fact": [(4, 4), (8, 4)],
    b"RF64": [(4, 4)],
    b"ds64": [(4, 4), (8, 8), (16, 8), (24, 8), (32, 4)],
    b"riff": [(16, 8), (40, 8), (56, 8)],
    b"COMM": [(4, 4), (8, 2), (10, 4), (14, 2), (16, 2), (18, 8), (26, 4)],
    b"SSND": [(4, 4), (8, 4), (12, 4)],
    b".snd": [(4, 4), (8, 4), (12, 4), (16, 4), (20, 4)],
    b"dns.": [(4, 4), (8, 4), (12, 4), (16, 4), (20, 4)],
    b"caff": [(4, 2), (6, 2)],
    b"desc": [(4, 8), (12, 8), (20, 4), (24, 4), (28, 4), (32, 4), (36, 4), (40, 4)],
    b"pakt": [(4, 8), (12, 8), (20, 8), (28, 4), (32, 4), (36, 2)],
    b"kuki": [(4, 8), (12, 4), (16, 4), (20, 4), (24, 4), (28, 4), (32, 4), (36, 4)],
    b"chan": [(4, 8), (12, 4), (16, 4), (20, 4)],
    b"fLaC": [(14, 4), (22, 4), *((place, 1) for place in (4, 20, 21, 42)), *((place, 2) for place in (8, 10))],
    b"\xff\xf8": [(2, 1), (3, 1), (4, 1), (5, 1), (6, 1), (7, 1), (8, 2)],
    b"OggS": [(4, 1), (5, 1), (6, 8), (14, 4), (18, 4), (22, 4), (26, 1), (27, 1)],
    b"\x01vorbis": [(7, 4), (11, 1), (12, 4), (16, 4), (20, 4), (24, 4), (28, 1), (29, 1)],
    b"\x03vorbis": [(7, 4), (11, 4)],
    b"\x05vorbis": [(7, 1), (8, 4), (12, 4), (16, 2)],
    b"OpusHead": [(8, 1), (9, 1), (10, 2), (12, 4), (16, 2), (18, 1), (19, 1), (20, 1)],
    b"OpusTags": [(8, 4), (12, 4)],
    b"ID3": [(3, 1), (5, 1), (6, 4), (14, 4)],
    b"Xing": [(4, 4), (8, 4), (12, 4), (16, 4)],
    b"Info": [(4, 4), (8, 4), (12, 4), (16, 4), (130, 4), (136, 4), (140, 4)],
    b"\xff\xfb": [(1, 1), (2, 1), (3, 1), (4, 2), (6, 4), (10, 4)],
    b"\xff\xf3": [(1, 1), (2, 1), (3, 1), (4, 2), (6, 4), (10, 4)],
}  # fmt: skip
_MARKER = re.compile(b"|".join(re.escape(marker) for marker in FIELDS))
_RATES = (0, 1, 7, 999, 1000, 8000, 11_025, 44_100, 192_000, 768_000, 768_001, 10_000_000, 2**31)
_FLOATS = (0.0, -1.0, 1.0, 1e-300, 1e300, np.inf, -np.inf, np.nan, 16_000.5, 2.0**31, 44_100.0)


def set_field(data: bytes, rng: np.random.Generator) -> bytes:
    """Write an integer at which things go wrong into a field of a header."""
    found = _markers(data)
    if not found:
        return data
    place, marker = found[rng.integers(len(found))]
    offset, width = FIELDS[marker][rng.integers(len(FIELDS[marker]))]
    numbers = INTERESTING[width] if rng.integers(4) else [n % 256**width for n in _RATES]
    number = int(numbers[rng.integers(len(numbers))])
    return _put(data, place + offset, number.to_bytes(width, "big" if rng.integers(2) else "little"))


def nudge_field(data: bytes, rng: np.random.Generator) -> bytes:
    """Change a field of a header by a little, so that it is nearly right."""
    found = _markers(data)
    if not found:
        return data
    place, marker = found[rng.integers(len(found))]
    offset, width = FIELDS[marker][rng.integers(len(FIELDS[marker]))]
    order = "big" if rng.integers(2) else "little"
    old = int.from_bytes(data[place + offset :][:width], order)
    return _put(data, place + offset, ((old + int(rng.integers(-9, 10))) % 256**width).to_bytes(width, order))


def set_rate(data: bytes, rng: np.random.Generator) -> bytes:
    """Write another rate: the floating-point ones of AIFF and CAF, the decimal ones of NIST."""
    number = float(rng.choice(_FLOATS))
    if (place := data.find(b"desc")) >= 0:
        return _put(data, place + 12, struct.pack(">d", number))
    if (place := data.find(b"COMM")) >= 0:
        exponent, mantissa = int(rng.integers(2**16)), int(rng.integers(2**63))
        return _put(data, place + 16, struct.pack(">HQ", exponent, mantissa))
    numbers = [match.span() for match in re.finditer(rb"-?\d+", data[:1024])]
    if data.startswith(b"NIST") and numbers:
        begin, end = numbers[rng.integers(len(numbers))]
        texts = (b"0", b"-1", b"99999999999999999999", b"4294967296", b"", b"1e9", b"nan")
        return data[:begin] + texts[rng.integers(len(texts))] + data[end:]
    return data


def move_chunk(data: bytes, rng: np.random.Generator) -> bytes:
    """Take out what stands between two markers, and put it back elsewhere, or twice, or not at all."""
    found = [place for place, _ in _markers(data)]
    if len(found) < 2:
        return data
    k = int(rng.integers(len(found) - 1))
    piece, rest = data[found[k] : found[k + 1]], data[: found[k]] + data[found[k + 1] :]
    for _ in range(rng.integers(3)):
        place = int(rng.choice([*found, len(data)]))
        rest = rest[:place] + piece + rest[place:]
    return rest


def damage_frames(data: bytes, rng: np.random.Generator) -> bytes:
    """Overwrite a byte every so often behind the header, as a bad transfer does."""
    changed = np.frombuffer(data, np.uint8).copy()
    places = np.arange(int(rng.integers(60, 600)), len(changed), int(rng.integers(5, 500)))
    changed[places] = rng.integers(256, size=len(places))
    return changed.tobytes()


def set_page(data: bytes, rng: np.random.Generator) -> bytes:
    """Change an Ogg file in one of the ways above, and make the checksums of its pages right again."""
    change = (set_field, nudge_field, damage_frames)[rng.integers(3)]
    return with_checksums(change(data, rng)) if data.startswith(b"OggS") else data


#: Mutators that know these containers.
STRUCTURED: Mapping[str, Mutator] = {
    each.__name__: each for each in (set_field, nudge_field, set_rate, move_chunk, damage_frames, set_page)
}


def with_checksums(data: bytes) -> bytes:
    """Write the right checksum into every page of an Ogg file (RFC 3533, section 6)."""
    changed = bytearray(data)
    for begin, end in _pages(data):
        changed[begin + 22 : begin + 26] = bytes(4)
        changed[begin + 22 : begin + 26] = struct.pack("<I", _ogg_checksum(changed[begin:end]))
    return bytes(changed)


def _pages(data: bytes) -> Iterator[tuple[int, int]]:
    for match in re.finditer(b"OggS", data):
        begin = match.start()
        if begin + 27 > len(data):
            return
        count = data[begin + 26]
        yield begin, begin + 27 + count + sum(data[begin + 27 : begin + 27 + count])


def _ogg_checksum(page: bytes) -> int:
    register = 0
    for byte in page:
        register = (register << 8) & 0xFFFFFFFF ^ _TABLE[(register >> 24) ^ byte]
    return register


def _table() -> list[int]:
    table = []
    for byte in range(256):
        register = byte << 24
        for _ in range(8):
            register = (register << 1) ^ (0x04C11DB7 if register & 0x80000000 else 0)
        table.append(register & 0xFFFFFFFF)
    return table


_TABLE = _table()


def _markers(data: bytes) -> list[tuple[int, bytes]]:
    return [(match.start(), match.group()) for match in _MARKER.finditer(data)]


def _put(data: bytes, place: int, written: bytes) -> bytes:
    return data[:place] + written[: max(0, len(data) - place)] + data[place + len(written) :]
