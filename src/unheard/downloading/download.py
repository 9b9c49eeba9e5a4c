"""A corpus from its source to a folder that its reader takes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from unheard.downloading.fetch import PATIENCE, Patience, fetch
from unheard.downloading.sources import Source
from unheard.downloading.unpack import unpack
from unheard.errors import DataError, MachineError, UsageError
from unheard.files import write_json
from unheard.formats import json_text
from unheard.temporary import part_folder

#: What a finished folder holds about where it came from; archives that are being fetched lie in :data:`PARTS`.
RECEIPT, PARTS = "download.json", ".download"


def download(
    source: Source,
    out: Path,
    *,
    patience: Patience = PATIENCE,
    progress: Callable[[str, int, int], None] | None = None,
) -> int:
    """Fetch and unpack a corpus into a new folder, and return the number of its recordings.

    A call that was interrupted is gone on with by the next one. The folder takes its name when all of it is there;
    ``download.json`` in it says where it came from, with the SHA-256 of each archive and the licence.

    Raises
    ------
    UsageError
        ``out`` holds something else.
    MachineError
        The server or the network fails, or the disk has too little room.
    DataError
        What came is not what is expected.
    """
    if (out / RECEIPT).is_file():
        if json_text.read_object(out / RECEIPT).get("corpus") != source.name:
            raise UsageError(f"{out} holds another corpus; choose another folder")
        return source.recordings
    if out.is_dir() and any(out.iterdir()):
        raise UsageError(f"{out} holds something already; choose another folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    parts = out.parent / f"{PARTS}-{out.name}"
    _check_room(source, out.parent)
    parts.mkdir(exist_ok=True)
    digests = {}
    for archive in source.archives:
        name = archive.name
        advance = None if progress is None else lambda done, total, name=name: progress(name, done, total)
        digests[name] = fetch(archive, parts / name, patience=patience, progress=advance)
    if out.is_dir():
        out.rmdir()
    with part_folder(out) as made:
        for archive in source.archives:
            unpack(parts / archive.name, source, archive, made)
        recordings = sum(1 for file in made.rglob("*") if file.suffix.lower() == ".wav")
        if recordings != source.recordings:
            raise DataError(
                f"{source.name}: {recordings:,} recordings came, expected {source.recordings:,}; the archives are "
                f"kept in {parts}"
            )
        write_json(
            made / RECEIPT,
            {
                "corpus": source.name,
                "licence": source.licence,
                "citation": source.citation,
                "archives": [{"url": a.url, "sha256": digests[a.name]} for a in source.archives],
            },
        )
        made.rename(out)
    shutil.rmtree(parts)
    return recordings


def _check_room(source: Source, place: Path) -> None:
    """Refuse to begin where the archives and what they hold would not fit."""
    needed = sum((archive.bytes or 0) + archive.unpacked_bytes for archive in source.archives)
    free = shutil.disk_usage(place).free
    if free < needed:
        raise MachineError(f"{place} has {free / 1e9:.1f} GB free; {source.name} needs {needed / 1e9:.1f} GB")
