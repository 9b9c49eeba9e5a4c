"""What files were when they were written: a file that was damaged afterwards is known, by its name.

``digests.json`` lies in the folder of files and maps their names to the SHA-256 of their bytes. It is written
last. Folders that were written before it came in have none, and their files are taken as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from unheard.errors import DataError
from unheard.files import file_digest, regular_file, write_json
from unheard.formats import json_text

NAME = "digests.json"


def write_digests(folder: Path, names: Iterable[str]) -> None:
    """Write the digests of those of the named files that are there."""
    digests = {name: file_digest(folder / name) for name in names if (folder / name).is_file()}
    write_json(folder / NAME, digests)


def read_digests(folder: Path) -> dict[str, str]:
    """Return the digests of a folder's files by name; nothing where none were written.

    Raises
    ------
    DataError
        What is there holds no digests.
    """
    path = folder / NAME
    if not path.is_symlink() and not path.exists():
        return {}
    found = json_text.read_object(path)
    if not all(isinstance(digest, str) for digest in found.values()):
        raise DataError(f"{path}: expected the names of files and their SHA-256")
    return found


def check_files(folder: Path, names: Iterable[str]) -> None:
    """Check that files are as they were written, as far as that is known; one without a digest need not be there.

    Raises
    ------
    DataError
        A file is missing or was altered; its path comes first.
    """
    known = read_digests(folder)
    for name in names:
        if name in known and file_digest(regular_file(folder / name)) != known[name]:
            raise DataError(f"{folder / name}: was damaged or altered after it was written")
