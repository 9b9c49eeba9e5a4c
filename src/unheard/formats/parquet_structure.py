"""What a Parquet file says of itself, read without reading the data: rows, columns, values and sizes.

A Parquet file ends with its metadata, the length of these and ``PAR1``; the metadata say where the pages of each
column lie, and each page begins with a head of its own. Both are in Thrift's compact protocol. A few bytes can
promise millions of values, so this is looked at before a library allocates what is promised.
Format: https://parquet.apache.org/docs/file-format/ and ``parquet.thrift`` of apache/parquet-format.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

MAGIC = b"PAR1"
#: Bytes of the metadata, and of the head of a page, which holds the smallest and the largest value of it.
MAX_METADATA, MAX_HEAD = 2**24, 2**20
MAX_LEVELS, MAX_PAGES = 16, 100_000
#: Bytes of a value of fixed length.
MAX_FIXED = 64

Fields = dict[int, Any]


@dataclass(frozen=True)
class Structure:
    """What a file holds.

    Attributes
    ----------
    rows, columns
        Number of each; a column of lists or records counts as many as it holds plain columns.
    values
        Number of values in all columns together, repetitions in lists counted.
    unpacked
        Number of bytes of all pages once they are unpacked.
    """

    rows: int
    columns: int
    values: int
    unpacked: int


def structure(path: Path) -> Structure:
    """Read the structure of a regular file.

    Raises
    ------
    ValueError
        It is no Parquet file, or a damaged one: parts outside the file, counts that contradict each other.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 8))
        tail = file.read(8)
        file.seek(0)
        if size < 12 or tail[4:] != MAGIC or file.read(4) != MAGIC:
            raise ValueError("it does not begin and end as a Parquet file")
        length = int.from_bytes(tail[:4], "little")
        if not 0 < length <= min(size - 12, MAX_METADATA):
            raise ValueError(f"its metadata are said to be of {length:,} bytes")
        file.seek(size - 8 - length)
        metadata = _Compact(file.read(length)).struct()
        return _checked(metadata, _Pages(file, size - 8 - length))


def _checked(metadata: Fields, pages: _Pages) -> Structure:
    leaves = _leaves(_list(metadata, 2, "schema"))
    groups = _list(metadata, 4, "row groups")
    rows, values = _count(metadata, 3, "rows"), 0
    if rows != sum(_count(group, 3, "rows of a group") for group in groups):
        raise ValueError("the rows of its groups are not as many as its rows")
    for group in groups:
        columns = _list(group, 1, "columns of a group")
        if len(columns) != leaves:
            raise ValueError(f"a group of rows has {len(columns)} columns, the schema {leaves}")
        for column in columns:
            chunk = _struct(column, 3, "column")
            if 1 in column:
                raise ValueError("a column lies in another file")
            values += pages.read(chunk)
    return Structure(rows, leaves, values, pages.unpacked)


def _leaves(schema: list[Any]) -> int:
    """Return the number of plain columns; elements stand in the order of a walk through the tree."""
    waiting = 1
    leaves = 0
    for number, element in enumerate(schema):
        if waiting <= 0 or not isinstance(element, dict):
            raise ValueError("its schema is no tree")
        children, length = (
            _count({5: 0, **element}, 5, "columns"),
            _count({2: 0, **element}, 2, "bytes of a value"),
        )
        if not isinstance(element.get(4), bytes):
            raise ValueError("a column has no name")
        if length > MAX_FIXED:
            raise ValueError(f"a column of values of {length:,} bytes each")
        waiting += children - 1
        leaves += number > 0 and children == 0
    if waiting:
        raise ValueError("its schema is no tree")
    return leaves


class _Pages:
    """The pages of the columns, before the byte ``end`` of the file."""

    def __init__(self, file: BinaryIO, end: int) -> None:
        self._file, self._end = file, end
        self._count = 0
        self.unpacked = 0

    def read(self, chunk: Fields) -> int:
        """Go through the heads of a column's pages, and return how many values they hold."""
        values, size = _count(chunk, 5, "values"), _count(chunk, 7, "packed bytes")
        start = _count(chunk, 9, "start of the pages")
        if 11 in chunk:  # the page of the dictionary comes first
            start = min(start, _count(chunk, 11, "start of the dictionary") or start)
        if not 4 <= start <= start + size <= self._end:
            raise ValueError("a column lies outside the file")
        place, stop, found = start, start + size, 0
        while place < stop:
            self._count += 1
            if self._count > MAX_PAGES:
                raise ValueError(f"more than {MAX_PAGES:,} pages")
            head, length = self._head(place, stop)
            packed, unpacked = _count(head, 3, "packed bytes"), _count(head, 2, "unpacked bytes")
            self.unpacked += unpacked
            of_kind = {0: 5, 2: 7, 3: 8}.get(_count(head, 1, "kind of a page"))
            if of_kind is None:
                raise ValueError("a page of a kind that is not known")
            count = _count(_struct(head, of_kind, "head of a page"), 1, "values of a page")
            if head[1] == 2:
                if count > unpacked:
                    raise ValueError("a dictionary holds fewer bytes than words")
            else:
                found += count
            place += length + packed
        if place != stop or found != values:
            raise ValueError("the pages of a column do not hold what its metadata say")
        return values

    def _head(self, place: int, stop: int) -> tuple[Fields, int]:
        self._file.seek(place)
        read = _Compact(self._file.read(min(1024, stop - place)))
        try:
            head = read.struct()
        except ValueError:
            if stop - place <= 1024:
                raise
            self._file.seek(place)
            read = _Compact(self._file.read(min(MAX_HEAD, stop - place)))
            head = read.struct()
        return head, read.place


def _count(fields: Fields, number: int, what: str) -> int:
    value = fields.get(number)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{what}: not a number of them")
    return value


def _list(fields: Fields, number: int, what: str) -> list[Any]:
    value = fields.get(number)
    if not isinstance(value, list):
        raise ValueError(f"{what}: no list of them")
    return value


def _struct(fields: Any, number: int, what: str) -> Fields:
    value = fields.get(number) if isinstance(fields, dict) else None
    if not isinstance(value, dict):
        raise ValueError(f"{what}: not described")
    return value


class _Compact:
    """Thrift's compact protocol: structs as fields by number, lists, whole numbers, bytes, true and false."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.place = 0

    def struct(self, level: int = 0) -> Fields:
        """Read a struct."""
        if level > MAX_LEVELS:
            raise ValueError(f"more than {MAX_LEVELS} levels of structs")
        fields: Fields = {}
        number = 0
        while (head := self._bytes(1)[0]) != 0:
            number = number + (head >> 4) if head >> 4 else self._signed()
            if number in fields:
                raise ValueError("a field stands twice")
            fields[number] = self._value(head & 15, level, inside=False)
        return fields

    def _value(self, kind: int, level: int, *, inside: bool) -> Any:
        if kind in (1, 2):  # of a field, the value is the kind; in a list it is a byte
            return (self._bytes(1)[0] if inside else kind) == 1
        if kind == 3:
            return self._bytes(1)[0]
        if kind in (4, 5, 6):
            return self._signed()
        if kind == 7:
            return struct.unpack("<d", self._bytes(8))[0]
        if kind == 8:
            return self._bytes(self._varint())
        if kind in (9, 10):
            head = self._bytes(1)[0]
            count = head >> 4 if head >> 4 != 15 else self._varint()
            if count > len(self._data) - self.place:
                raise ValueError("a list holds more than there are bytes")
            return [self._value(head & 15, level + 1, inside=True) for _ in range(count)]
        if kind == 12:
            return self.struct(level + 1)
        raise ValueError(f"a field of the kind {kind}")

    def _signed(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._bytes(1)[0]
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise ValueError("a number of more than ten bytes")

    def _bytes(self, count: int) -> bytes:
        if count > len(self._data) - self.place:
            raise ValueError("it ends too early")
        found = self._data[self.place : self.place + count]
        self.place += count
        return found
