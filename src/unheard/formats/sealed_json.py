"""JSON with the digest of itself: what one process of ours writes for another to read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from unheard.errors import DataError
from unheard.files import canonical_json, digest, write_text
from unheard.formats import json_text

#: Bytes of a file. An index of an extraction has some hundred a clip.
MAX_BYTES = 2**30


def write(path: Path, value: Any) -> None:
    """Write a value with its digest."""
    write_text(path, canonical_json({"content": value, "sha256": digest(value)}))


def read(path: Path, most: int = MAX_BYTES) -> Any:
    """Return a value that :func:`write` wrote, of a file of at most so many bytes.

    Raises
    ------
    DataError
        The file is missing, or it is not as it was written.
    """
    found = json_text.read_object(path, most=most)
    if "content" not in found or found.get("sha256") != digest(found["content"]):
        raise DataError(f"{path}: was damaged or altered after it was written")
    return found["content"]
