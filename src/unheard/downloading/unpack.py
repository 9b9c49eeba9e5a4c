"""A zip file of somebody else into a folder: nothing outside it, no links, no more than there may be."""

from __future__ import annotations

import stat
import zipfile
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from unheard.downloading.sources import Archive, Source
from unheard.errors import DataError

MOST_FILES = 50_000
_BLOCK = 1 << 20


def unpack(path: Path, source: Source, archive: Archive, folder: Path) -> int:
    """Unpack the files of an archive that a source keeps into ``folder``, and return their number.

    Raises
    ------
    DataError
        It is no zip file or damaged, holds a name that leads outside, a link or an encrypted file, one name twice,
        or more files or bytes than it may.
    """
    try:
        with zipfile.ZipFile(path) as opened:
            return _unpack(opened, source, archive, folder)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, EOFError) as error:
        raise DataError(f"{archive.name} is no zip file that can be read: {error}") from error


def _unpack(opened: zipfile.ZipFile, source: Source, archive: Archive, folder: Path) -> int:
    entries = [entry for entry in opened.infolist() if not entry.is_dir()]
    if len(entries) > MOST_FILES:
        raise DataError(f"{archive.name} holds {len(entries):,} files; at most {MOST_FILES:,} are unpacked")
    wanted: dict[PurePosixPath, zipfile.ZipInfo] = {}
    for entry in entries:
        name = _inside(entry, archive)
        if source.top:
            name = PurePosixPath(*name.parts[1:])
        if not name.parts or not any(fnmatchcase(str(name), pattern) for pattern in source.keep):
            continue
        if name in wanted:
            raise DataError(f"{archive.name} holds {name} twice")
        wanted[name] = entry
    left = archive.unpacked_bytes
    for name, entry in wanted.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        # What the archive says of its sizes is not relied on: bytes are counted as they come.
        with opened.open(entry) as inner, target.open("xb") as file:
            while block := inner.read(_BLOCK):
                left -= len(block)
                if left < 0:
                    raise DataError(f"{archive.name} unpacks to more than {archive.unpacked_bytes:,} bytes")
                file.write(block)
    return len(wanted)


def _inside(entry: zipfile.ZipInfo, archive: Archive) -> PurePosixPath:
    """Return the name of an entry, or refuse one that leads out of the folder or is no plain file."""
    name = PurePosixPath(entry.filename.replace("\\", "/"))
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if name.is_absolute() or ".." in name.parts or ":" in entry.filename or "\0" in entry.filename:
        raise DataError(f"{archive.name} holds {entry.filename!r}, which leads out of its folder")
    if kind not in (0, stat.S_IFREG) or entry.flag_bits & 1:
        raise DataError(f"{archive.name}: {entry.filename} is no plain file (a link, a device, or encrypted)")
    return name
