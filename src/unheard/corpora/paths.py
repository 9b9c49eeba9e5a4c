"""Where the recordings of a table lie: paths as people write them, and why one is not there."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from urllib.parse import unquote, urlsplit

import polars as pl

from unheard.audio.extensions import EXTENSIONS
from unheard.errors import DataError

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/", re.ASCII | re.IGNORECASE)
_DRIVE = re.compile(r"[a-z]:[\\/]", re.ASCII | re.IGNORECASE)
#: Files that are looked at to say why a recording is not where its path says.
_MAX_FILES = 10_000


def place_of(folder: Path, text: str) -> Path:
    r"""Return the absolute path of a recording as a table writes it.

    Parameters
    ----------
    folder
        What relative paths begin at.
    text
        A path; ``file://…`` and ``~`` are understood. Where nothing has that name, so are ``\`` for ``/`` and
        letters in the other Unicode form (composed, or decomposed as macOS writes them).
    """
    if text.casefold().startswith("file://"):
        text = unquote(urlsplit(text).path)
    elif text.startswith("~") and not os.path.lexists(folder / text):
        text = os.path.expanduser(text)  # noqa: PTH111 - Path.expanduser raises where the user is unknown
    place = folder.absolute() / text
    if not _exists(place):
        turned = text.replace("\\", "/")
        forms = (turned, *(unicodedata.normalize(form, turned) for form in ("NFC", "NFD")))
        return next((other for form in forms if _exists(other := folder.absolute() / form)), place)
    return place


def why_absent(folder: Path, text: str) -> str:
    """Return what is likely wrong with the path of a recording that is not there, and what to do.

    Parameters
    ----------
    folder
        What relative paths begin at.
    text
        The path as the table writes it.
    """
    if _ADDRESS.match(text):
        return "it is an address; download the recordings first"
    if _DRIVE.match(text):
        return "it is a path of another computer; write it relative to the folder of the table"
    plain = text.replace("\\", "/")
    place = place_of(folder, plain)
    for ending in EXTENSIONS:
        if _exists(place.with_name(place.name + ending)):
            return f"{place.name}{ending} is there: write the paths with their extension"
        if place.suffix and _exists(place.with_suffix(ending)):
            return f"{place.with_suffix(ending).name} is there: write the paths with that extension"
    here = folder.absolute()
    if not Path(plain).is_absolute():
        for base in (Path.cwd(), *islice(here.parents, 3)):
            if base != here and _exists(base / plain):
                return f"it is in {base}, and paths begin at the folder of the table, {here}; put the table there"
    for other in islice(_files(here), _MAX_FILES):
        if other.name.casefold() == place.name.casefold() or other.stem == place.name:
            return f"{other.relative_to(here)} is there: write the paths as they are from {here}"
    return f"expected it at {place}; relative paths begin at the folder of the table"


def refuse_absent(table: pl.DataFrame, source: Path) -> None:
    """Refuse a table of which no recording is there, unless what is said is known.

    Parameters
    ----------
    table
        Utterances with absolute paths.
    source
        The table or folder that they were read from.

    Raises
    ------
    DataError
        Says what is likely wrong with the paths.
    """
    said = "text" in table.columns and table["text"].null_count() < len(table)
    paths = table["path"].unique(maintain_order=True)
    if said or any(map(_exists, paths)):
        return
    folder = (source if source.is_dir() else source.parent).absolute()
    first = Path(paths[0])
    text = str(first.relative_to(folder) if first.is_relative_to(folder) else first)
    raise DataError(
        f"{source}: no recording that it names is there ({len(paths):,} of them), such as {text!r}: "
        f"{why_absent(folder, text)}"
    )


def _exists(place: Path | str) -> bool:
    return os.path.exists(place)  # noqa: PTH110 - Path.exists raises where a name is too long


def _files(folder: Path) -> Iterator[Path]:
    for inside, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(inside, name) for name in sorted(names))
