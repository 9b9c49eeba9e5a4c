"""Walking a corpus folder: one row a recording, everything else left out with its reason.

A reader gives a function from a relative path to the fields that the owner's name holds; this file finds the
files, takes one file of each id, and adds path and duration. Order and result depend on names alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unheard.audio import media
from unheard.audio.extensions import CONVERT, EXTENSIONS, MEDIA, UNREADABLE, VIDEO
from unheard.audio.search import LeftOut as LeftOut
from unheard.audio.search import walk
from unheard.audio.source import opened
from unheard.errors import AudioError, DataError

#: Extensions of recordings, those that lose nothing first.
READ = EXTENSIONS + MEDIA


@dataclass(frozen=True)
class Remark:
    """What was taken for what in a corpus as it was read; nothing is left out by it."""

    text: str


#: Fields of a clip by its path inside the corpus folder, or the reason why it is left out.
Fields = Callable[[Path], dict[str, Any] | str]


def clips(root: Path, fields: Fields) -> Iterator[dict[str, Any] | LeftOut]:
    """Yield one row a clip below ``root``, and a :class:`LeftOut` for every other file.

    Parameters
    ----------
    root
        Folder of the corpus.
    fields
        Says what a file is by its path relative to ``root``. Its ``id`` is the name without extension unless the
        fields say otherwise; of several files of one id the one that lost least is taken (then the one nearest
        to ``root``, then the first by name) and the others are left out, but for the first video, which is its
        picture.

    Raises
    ------
    DataError
        ``root`` is not a folder.
    """
    found: dict[str, list[tuple[Path, dict[str, Any]]]] = {}
    for item in recordings(root):
        if isinstance(item, LeftOut):
            yield item
            continue
        row = fields(item)
        if isinstance(row, str):
            yield LeftOut(item.as_posix(), row)
        else:
            found.setdefault(str(row.get("id", item.stem)), []).append((item, row))
    for name in sorted(found):
        (path, row), *doubles = sorted(found[name], key=lambda pair: _preference(pair[0]))
        where = root.absolute() / path
        picture = next((each for each, _ in [(path, row), *doubles] if is_video(each)), None)
        video = None if picture is None else str(root.absolute() / picture)
        yield {"id": name, **row, "path": str(where), "video": video, "duration": duration(where)}
        for double, _ in doubles:
            if double == picture:
                continue
            yield LeftOut(double.as_posix(), f"the same clip as {path.as_posix()}, which is taken")


def listed(
    root: Path, rows: Iterable[dict[str, Any]], name_of: Callable[[Path], str | None], table: str
) -> Iterator[dict[str, Any] | LeftOut]:
    """Yield the rows of an owner's table, each with its recording's path and duration.

    A row whose recording is not there stays, with the path where it is expected and an unknown duration: what is
    said is known without it, and a run counts it as a bad file.

    Parameters
    ----------
    root
        Folder of the corpus.
    rows
        Fields of each clip; ``recording`` is the name of its recording, which several clips may share as pieces
        (``start``, ``end``), and ``path`` the place below ``root`` where the owner has it.
    name_of
        The name of a recording by its path below ``root``; None where it is none of the corpus. Of several files
        of one name one is taken, as in :func:`clips`.
    table
        What lists the clips, for the reason why a recording is left out.
    """
    found: dict[str, list[Path]] = {}
    for item in recordings(root):
        if isinstance(item, LeftOut):
            yield item
        elif (name := name_of(item)) is None:
            yield LeftOut(item.as_posix(), f"not in {table}")
        else:
            found.setdefault(name, []).append(item)
    for paths in found.values():
        paths.sort(key=_preference)
    lengths: dict[str, float | None] = {}
    for row in rows:
        name = row["recording"]
        where = root.absolute() / (found[name][0] if name in found else row["path"])
        if name not in lengths:
            lengths[name] = duration(where)
        seconds = piece(lengths[name], row.get("start"), row.get("end"))
        yield {key: value for key, value in row.items() if key != "recording"} | {
            "path": str(where),
            "duration": seconds,
        }
    for name, (taken, *doubles) in sorted(found.items()):
        if name not in lengths:
            yield LeftOut(taken.as_posix(), f"not in {table}")
        for double in doubles:
            yield LeftOut(double.as_posix(), f"the same clip as {taken.as_posix()}, which is taken")


def piece(whole: float | None, start: float | None, end: float | None) -> float | None:
    """Return the seconds of a piece of a recording; None where the recording is unknown or ends before it."""
    if whole is None:
        return None
    seconds = min(whole, whole if end is None else end) - (start or 0.0)
    return seconds if seconds > 0 else None


def piece_name(base: str, start: float | None, end: float | None) -> str:
    """Name a piece of a recording by its seconds: ``call_1.500-3.000``, ``call_1.500-`` to its end."""
    if start is None and end is None:
        return base
    return f"{base}_{start or 0.0:.3f}-{'' if end is None else format(end, '.3f')}"


def recordings(root: Path) -> Iterator[Path | LeftOut]:
    """Yield the audio files below ``root`` as relative paths in name order, and what is not one as left out."""
    if not root.is_dir():
        raise DataError(
            f"{root}: {'not a folder' if root.exists() else 'no such folder'}; give the folder of the corpus"
        )
    for path in walk(root):
        if isinstance(path, LeftOut):
            yield path
            continue
        suffix = path.suffix.lower()
        if not _is_utf8(path):
            yield LeftOut(
                os.fsencode(path).decode("utf-8", "backslashreplace"), "its name is not UTF-8; rename it"
            )
        elif suffix in UNREADABLE:
            yield LeftOut(path.as_posix(), f"{suffix} {CONVERT}")
        elif suffix in MEDIA and not media.installed():
            yield LeftOut(
                path.as_posix(), f"{suffix} is read with the extra media alone: pip install 'unheard[media]'"
            )
        elif suffix not in READ:
            yield LeftOut(path.as_posix(), "not audio")
        else:
            yield path


def duration(path: Path) -> float | None:
    """Return the seconds that the header promises, or None where it cannot be read (the run will say why)."""
    try:
        with opened(path) as source:
            return (source.frames or 0) / source.rate or None
    except AudioError:
        return None


def is_video(path: Path) -> bool:
    """Return whether a file is a video by its name."""
    return path.suffix.lower() in VIDEO


def _preference(path: Path) -> tuple[int, int, str]:
    return READ.index(path.suffix.lower()), len(path.parts), path.as_posix()


def _is_utf8(path: Path) -> bool:
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
