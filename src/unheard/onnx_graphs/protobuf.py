"""Protobuf's wire format, read as strictly as a writer writes it (https://protobuf.dev/programming-guides/encoding).

Lenient readers differ in what they make of odd bytes: a tag of more than 32 bits is unknown to one and cut to a
known field by another. So whatever no writer would write is refused.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

#: What a tag, a length and a number may be at most, exclusive.
_TAG, _LENGTH, _NUMBER = 2**32, 2**31, 2**64


def fields(message: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """Yield the fields of a message as (number, wire type, value): an int for ``VARINT``, else the bytes.

    Raises
    ------
    ValueError
        What no writer writes: field 0, groups, a tag over 32 bits, a length over 31, a number over 64, any of
        these longer than it needs to be, or a field that is longer than its message.
    """
    place, end = 0, len(message)
    while place < end:
        tag, place = _varint(message, place, _TAG)
        number, wire = tag >> 3, tag & 7
        if not number:
            raise ValueError("a field has the number 0")
        if wire == VARINT:
            value, place = _varint(message, place, _NUMBER)
            yield number, wire, value
            continue
        if wire == BYTES:
            size, place = _varint(message, place, _LENGTH)
        elif wire in (FIXED64, FIXED32):
            size = 8 if wire == FIXED64 else 4
        else:
            raise ValueError(f"field {number} has the wire type {wire}")
        if size > end - place:
            raise ValueError(f"field {number} is longer than its message")
        yield number, wire, message[place : place + size]
        place += size


def varints(packed: memoryview) -> NDArray[np.uint64]:
    """Return the numbers of a packed field, as strictly as ``fields`` reads them."""
    data = np.frombuffer(packed, dtype=np.uint8)
    ends = np.flatnonzero(data < 0x80)
    if not len(ends):
        if len(data):
            raise ValueError("a number does not end")
        return np.zeros(0, dtype=np.uint64)
    sizes = np.diff(ends, prepend=-1)
    last = data[ends]
    if ends[-1] + 1 != len(data) or sizes.max() > 10 or (last[sizes == 10] > 1).any():
        raise ValueError("a number does not end or has more than 64 bits")
    if (last[sizes > 1] == 0).any():
        raise ValueError("a number is longer than it needs to be")
    found = np.zeros(len(ends), dtype=np.uint64)
    for k in range(int(sizes.max())):
        more = sizes > k
        part = (data[ends[more] - sizes[more] + 1 + k] & np.uint8(0x7F)).astype(np.uint64)
        found[more] |= part << np.uint64(7 * k)
    return found


def varint(value: int) -> bytes:
    """Return a number in 0 … 2⁶⁴ − 1 as it is written."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def packed(values: NDArray[np.uint64]) -> bytes:
    """Return the content of a packed field of numbers."""
    if (values < 0x80).all():
        return values.astype(np.uint8).tobytes()
    return b"".join(varint(int(value)) for value in values)


def _varint(message: memoryview, place: int, limit: int) -> tuple[int, int]:
    value = shift = 0
    for place in range(place, min(place + 10, len(message))):  # noqa: B020
        byte = message[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >= limit:
                raise ValueError(f"a number has more than {limit.bit_length() - 1} bits")
            if shift and not byte:
                raise ValueError("a number is longer than it needs to be")
            return value, place + 1
        shift += 7
    raise ValueError("a number does not end")
