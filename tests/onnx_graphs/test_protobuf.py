"""Protobuf's wire format against the onnx package, and whatever no writer would write."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto

from unheard.onnx_graphs import protobuf


def read(data: bytes) -> list[tuple[int, int, int | bytes]]:
    return [
        (number, wire, value if isinstance(value, int) else bytes(value))
        for number, wire, value in protobuf.fields(memoryview(data))
    ]


def test_fields_of_every_wire_type() -> None:
    # 08 96 01: the example of the specification, field 1 is 150.
    assert read(b"\x08\x96\x01") == [(1, 0, 150)]
    assert read(b"\x12\x02hi" + b"\x1d" + b"\x00\x00\x80\x3f") == [(2, 2, b"hi"), (3, 5, b"\x00\x00\x80\x3f")]
    assert read(b"\x09" + bytes(8)) == [(1, 1, bytes(8))]
    assert read(b"") == []


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"\x00\x01", "number 0"),
        (b"\x02\x00", "number 0"),
        (b"\xed\x80\x80\x80\x10\x00", "more than 32 bits"),  # field 13 with bit 32 of the tag set
        (b"\xea\x80\x80\x80\x10\x00", "more than 32 bits"),
        (b"\x88\x00\x01", "longer than it needs"),
        (b"\x08\x81\x00", "longer than it needs"),
        (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "more than 64 bits"),
        (b"\x08" + b"\xff" * 10 + b"\x01", "does not end"),
        (b"\x0a\x80\x80\x80\x80\x08", "more than 31 bits"),
        (b"\x0a\x80\x80\x80\x80\x10\x01", "more than 31 bits"),
        (b"\x0a\x81\x80\x00x", "longer than it needs"),
        (b"\x0a\x05abcd", "longer than its message"),
        (b"\x0a", "does not end"),
        (b"\x08", "does not end"),
        (b"\x80", "does not end"),
        (b"\x0d\x00\x00\x00", "longer than its message"),
        (b"\x0b\x0c", "wire type 3"),
        (b"\x0c", "wire type 4"),
        (b"\x0e", "wire type 6"),
        (b"\x0f", "wire type 7"),
    ],
    ids=lambda value: value.hex() if isinstance(value, bytes) else "",
)
def test_what_no_writer_writes(data: bytes, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        read(data)


NUMBERS = st.lists(st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(0, 300)), max_size=40)


@given(NUMBERS)
def test_numbers_are_written_as_google_writes_them(numbers: list[int]) -> None:
    expected = TensorProto(int64_data=numbers).SerializeToString()
    values = np.array(numbers, dtype=np.int64).view(np.uint64)
    content = protobuf.packed(values)
    written = protobuf.varint(7 << 3 | 2) + protobuf.varint(len(content)) + content if numbers else b""
    assert written == expected
    assert np.array_equal(protobuf.varints(memoryview(content)), values)
    assert b"".join(map(protobuf.varint, values.tolist())) == content


@given(st.binary(max_size=40))
def test_packed_numbers_are_read_as_one_by_one(data: bytes) -> None:
    one_by_one = b"".join(b"\x08" + piece for piece in _pieces(data))
    try:
        expected = [value for _, _, value in read(one_by_one)]
    except ValueError:
        with pytest.raises(ValueError, match="a number"):
            protobuf.varints(memoryview(data))
    else:
        assert protobuf.varints(memoryview(data)).tolist() == expected


def _pieces(data: bytes) -> list[bytes]:
    """The bytes cut behind every one that ends a number."""
    pieces, start = [], 0
    for place, byte in enumerate(data):
        if byte < 0x80:
            pieces.append(data[start : place + 1])
            start = place + 1
    return [*pieces, data[start:]] if start < len(data) else pieces
