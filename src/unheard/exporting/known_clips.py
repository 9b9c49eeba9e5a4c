"""The making of ``known-clips.npz``: what a bundle keeps of the recordings that it was trained on.

:mod:`unheard.bundle.known_clips` reads it and knows them again.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import polars as pl

from unheard.audio import decode
from unheard.bundle.known_clips import FILE, LANDMARKS, Marks, marks
from unheard.bundle.manifest import MANIFEST, read_verified, write_manifest
from unheard.bundle.runtime import load
from unheard.errors import AudioError
from unheard.files import write_bytes
from unheard.temporary import part_folder


def known_clips(table: pl.DataFrame, channel: int | None = None) -> bytes:
    """Return the bytes of ``known-clips.npz`` for the recordings of a table, in whatever order they stand.

    Those that cannot be read or are silent are left out: nothing was trained on them.
    """
    kept: list[Marks] = []
    for path, start, end in table.select("path", "start", "end").iter_rows():
        try:
            clip = decode.load(path, start, end, channel=channel, allow_truncated=True)
        except AudioError:
            continue
        if clip.usable:
            kept.append(marks(clip.wave))
    return pack(kept)


def pack(kept: Iterable[Marks]) -> bytes:
    """Return the bytes of the file; the same recordings give the same bytes."""
    rows = np.array(sorted(map(tuple, kept)), dtype="<u4").reshape(-1, LANDMARKS)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, landmarks=rows)
    return buffer.getvalue()


def add_known_clips(folder: str | os.PathLike[str], table: pl.DataFrame, channel: int | None = None) -> Path:
    """Give a bundle that was made without it the file of the recordings that it was trained on.

    Everything else in the bundle stays as it is.
    """
    target = Path(folder)
    files = {**read_verified(target), FILE: known_clips(table, channel)}
    with part_folder(target) as part:
        for name, data in files.items():
            write_bytes(part / name, data)
        write_manifest(part)
        load(part)
        for name in (FILE, MANIFEST):
            write_bytes(target / name, (part / name).read_bytes())
    return target
