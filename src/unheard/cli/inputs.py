"""What ``unheard predict`` is given, one recording after the other: files, folders, patterns, lists, a stream."""

from __future__ import annotations

import glob
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from unheard.audio.container import is_binary
from unheard.audio.extensions import CONVERT, EXTENSIONS, MEDIA, UNREADABLE
from unheard.audio.search import HIDDEN, walk
from unheard.cli.terminal import say

STDIN = "-"


@dataclass(frozen=True)
class Recording:
    """Where a recording lies, and what it was called by whoever asked."""

    path: str
    name: str


def recordings(inputs: Iterable[str]) -> Iterator[Recording]:
    """Yield the recordings that the inputs name, those of folders and patterns in name order.

    Nothing is read ahead, so that a list on standard input is answered as its lines arrive. Nothing is refused
    here: an input that names no file is yielded as it stands, and reading it says why.
    """
    # os.path and glob take what no file can be called (too long, a NUL) for absent, where pathlib raises.
    for text in inputs:
        if text == STDIN:
            yield from _standard_input(sys.stdin.buffer)
        elif os.path.isdir(text):  # noqa: PTH112
            yield from map(_named, _in_folder(text))
        elif os.path.exists(text) or not glob.has_magic(text) or "\0" in text:  # noqa: PTH110
            yield _named(text)
        else:
            # A pattern that the shell left alone.
            yield from map(_named, sorted(glob.glob(text, recursive=True)) or [text])  # noqa: PTH207


def _named(path: str) -> Recording:
    return Recording(path, path)


def _standard_input(stream: BinaryIO) -> Iterator[Recording]:
    """Yield the recordings that lines of a stream name, which may hold any byte; or the one that the stream is."""
    first = stream.readline(65536)
    if is_binary(first):
        with tempfile.NamedTemporaryFile(prefix="unheard-") as file:
            file.write(first)
            shutil.copyfileobj(stream, file)
            file.flush()
            yield Recording(file.name, STDIN)
        return
    line = first.removeprefix(b"\xef\xbb\xbf")
    while line:
        name = os.fsdecode(line.rstrip(b"\r\n"))
        if name.strip():
            yield _named(name)
        line = stream.readline()


def _in_folder(folder: str) -> Iterator[str]:
    """Yield the files with the ending of a recording; what else could have been one is said."""
    for item in walk(Path(folder)):
        if isinstance(item, Path):
            if item.suffix.lower() in EXTENSIONS + MEDIA:
                yield str(Path(folder) / item)
            elif item.suffix.lower() in UNREADABLE:
                say(f"left out: {Path(folder) / item}: {item.suffix.lower()} {CONVERT}")
        elif item.reason != HIDDEN:
            say(f"left out: {Path(folder) / item.path}: {item.reason}")
