"""Forms and recordings as clients send them."""

from __future__ import annotations

import io
from pathlib import Path

import soundfile

from bundle_parts import sound


def form(*recordings: bytes | Path, name: str = "x") -> list[tuple[str, tuple[str, bytes]]]:
    """A form with these files."""
    data = [each if isinstance(each, bytes) else each.read_bytes() for each in recordings]
    return [("files", (name, each)) for each in data]


def recorded(seconds: float, rate: int = 16_000, format_: str = "WAV") -> bytes:
    """The bytes of a recording."""
    file = io.BytesIO()
    soundfile.write(file, sound(1, seconds), rate, format=format_)
    return file.getvalue()
