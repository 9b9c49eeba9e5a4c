"""Recordings out of the body of a request: read within bounds, and held in memory alone.

Each becomes a file in memory that has no name and no place on a disk, and is gone with the process however that
ends. What a client calls its file is not looked at.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from unheard.serve.errors import MalformedError, SlowBodyError, TooLargeError, WrongTypeError
from unheard.serve.limits import Held, Limits

#: Bytes of a recording.
Recording = bytes | bytearray
#: Name of the parts of a form that are recordings, and of the one that holds pieces of a recording.
FIELD, PIECES = "files", "pieces"
#: Where a file in memory is opened by its number.
_PLACE = re.compile(r"/proc/self/fd/\d+")


async def read_body(chunks: AsyncIterable[bytes], promised: str | None, held: Held, limits: Limits) -> bytes:
    """Return the body of a request.

    Parameters
    ----------
    chunks
        The pieces, as they arrive.
    promised
        What its header ``Content-Length`` says.
    held
        Counts the bytes.

    Raises
    ------
    TooLargeError
        It is larger than is taken; where the header says so already nothing of it is read.
    SlowBodyError
        It does not arrive in time.
    BusyError
        All bodies together are larger than the memory for them.
    """
    said = int(promised) if promised is not None and promised.isdecimal() and len(promised) < 20 else 0
    too_large = TooLargeError(
        f"the body is larger than {limits.body} bytes, which is all that is taken of a request"
    )
    if said > limits.body:
        raise too_large
    pieces: list[bytes] = []
    try:
        async with asyncio.timeout(limits.upload_seconds):
            async for chunk in chunks:
                if held.bytes + len(chunk) > limits.body:
                    raise too_large
                held.add(len(chunk))
                pieces.append(chunk)
    except TimeoutError:
        raise SlowBodyError(f"the body did not arrive within {limits.upload_seconds:g} s") from None
    return b"".join(pieces)


def recordings_of(body: bytes, content_type: str, limits: Limits) -> list[Recording]:
    """Return the recordings that a body holds: a form's files, or the one that the body is.

    Raises
    ------
    WrongTypeError
        The body is neither a form nor a recording, by its header ``Content-Type``.
    MalformedError
        The form is damaged, ends early, or has other fields than files.
    TooLargeError
        It has more files than are taken.
    """
    kind, options = parse_options_header(content_type)
    if kind.startswith((b"audio/", b"video/")) or kind == b"application/octet-stream":
        return [body]
    if kind != b"multipart/form-data":
        raise WrongTypeError(
            f"a body of the type {content_type[:60]!r}; send a form (multipart/form-data) with files by the name "
            f"{FIELD!r}, or one recording as audio/wav or application/octet-stream"
        )
    return _parts(body, options, (FIELD,), limits)[FIELD]


def recording_and_pieces_of(body: bytes, content_type: str, limits: Limits) -> tuple[Recording, Recording]:
    """Return the one recording of a form, and the file of pieces of it that the form holds.

    Raises
    ------
    WrongTypeError, MalformedError, TooLargeError
        As of :func:`recordings_of`; or one of the two is missing or given more than once.
    """
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise WrongTypeError(
            f"a body of the type {content_type[:60]!r}; send a form (multipart/form-data) with a recording by the "
            f"name {FIELD!r} and a file of its pieces by the name {PIECES!r}"
        )
    parts = _parts(body, options, (FIELD, PIECES), limits)
    for name, found in parts.items():
        if len(found) != 1:
            raise MalformedError(
                f"{len(found)} parts of the form are called {name!r}, expected one recording called {FIELD!r} "
                f"and one file of pieces called {PIECES!r}"
            )
    return parts[FIELD][0], parts[PIECES][0]


def _parts(
    body: bytes, options: Mapping[bytes, bytes], names: Sequence[str], limits: Limits
) -> dict[str, list[Recording]]:
    """Return the parts of a form by their names."""
    form = _Form(limits.recordings, names)
    try:
        parser = MultipartParser(options[b"boundary"], form.callbacks())  # type: ignore[arg-type]
        parser.write(body)
        parser.finalize()
    except KeyError:
        raise MalformedError("the header Content-Type names no boundary of the parts of the form") from None
    except FormParserError as error:
        raise MalformedError(f"the form is damaged ({error})") from None
    if not form.ended:
        raise MalformedError("the form ends before its last boundary; send it again, whole")
    if not form.parts:
        raise MalformedError(f"the form has no file; send recordings by the name {FIELD!r}")
    return {name: [part for own, part in form.parts if own == name] for name in names}


class _Form:
    """Collects the files of a form as its parser finds them."""

    def __init__(self, most: int, names: Sequence[str]) -> None:
        self._most, self._names = most, names
        self._header, self._value, self._disposition = b"", b"", b""
        self.parts: list[tuple[str, bytearray]] = []
        self.ended = False

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._field,
            "on_header_value": self._valued,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_end,
            "on_part_data": self._data,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        if len(self.parts) >= self._most:
            raise TooLargeError(f"more than {self._most} files, which is all that is taken of a request")
        self._disposition = b""

    def _field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _valued(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name not in self._names:
            also = "" if PIECES not in self._names else f" and their pieces called {PIECES!r}"
            raise MalformedError(
                f"a part of the form is called {name[:60]!r}; expected recordings called {FIELD!r}{also}"
            )
        self.parts.append((name, bytearray()))

    def _data(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1][1].extend(memoryview(data)[start:end])

    def _end(self) -> None:
        self.ended = True


@contextmanager
def in_memory(recordings: Sequence[Recording]) -> Iterator[list[str]]:
    """Yield paths by which recordings are opened, as files in memory that go afterwards."""
    descriptors: list[int] = []
    try:
        for recording in recordings:
            descriptors.append(os.memfd_create("recording", os.MFD_CLOEXEC))
            with os.fdopen(descriptors[-1], "wb", closefd=False) as file:
                file.write(recording)
        yield [f"/proc/self/fd/{number}" for number in descriptors]
    finally:
        for number in descriptors:
            os.close(number)


def unnamed(message: str) -> str:
    """Return a message without the places of files in memory."""
    return _PLACE.sub("recording", message)
