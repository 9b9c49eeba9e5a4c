"""Pieces of a recording that somebody else found: who speaks when, and what is said.

Read from a CSV (``start,end,speaker,text``; the last two may be missing), RTTM as diarisers write it (NIST 2009),
SubRip and WebVTT subtitles, and JSON of a transcript (``segments`` with ``start``, ``end``, ``text``, ``speaker``,
as Whisper and whisperX write it). In subtitles a speaker is ``<v NAME>``, ``[NAME]:`` or ``NAME:`` before the
words, the last where every cue begins so.
"""

from __future__ import annotations

import html
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from unheard.errors import DataError, first_five
from unheard.files import read_bytes
from unheard.formats import json_text
from unheard.formats.separated import read_separated

MAX_BYTES, MAX_PIECES = 2**26, 100_000
#: Seconds; characters of a speaker's name and of the words of a piece.
LONGEST, MAX_NAME, MAX_TEXT = 24 * 3600.0, 200, 20_000

_ARROW = re.compile(r"\s*(\d\S*)\s+-->\s+(\S+)")
_CLOCK = re.compile(r"(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2}(?:[.,]\d{1,6})?)")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>]*)>")
_BRACKETED = re.compile(r"\[([^\[\]]{1,60})\]:?\s*(.*)", re.DOTALL)
_NAMED = re.compile(r"([^\s:][^:\n]{0,39}):\s+(.*)", re.DOTALL)


@dataclass(frozen=True)
class Piece:
    """A piece of time in which somebody speaks.

    Attributes
    ----------
    start, end
        Seconds.
    speaker
        Who speaks; empty where that is not known.
    text
        What is said; empty where that is not known.
    """

    start: float
    end: float
    speaker: str = ""
    text: str = ""


def checked(pieces: Iterable[Piece]) -> list[Piece]:
    """Return pieces in the order of their starts.

    Raises
    ------
    DataError
        There are none, or too many; or one of them is no piece of time.
    """
    found = list(pieces)
    if not 1 <= len(found) <= MAX_PIECES:
        raise DataError(f"{len(found)} pieces of the recording are given, expected 1 to {MAX_PIECES:,}")
    for number, piece in enumerate(found, start=1):
        if not 0 <= piece.start < piece.end <= LONGEST:
            raise DataError(
                f"piece {number} reaches from {piece.start!r:.40} to {piece.end!r:.40}, expected seconds of a "
                "recording, the end after the start"
            )
        if len(piece.speaker) > MAX_NAME or len(piece.text) > MAX_TEXT:
            raise DataError(
                f"piece {number} has a speaker or words of more than {MAX_NAME} or {MAX_TEXT:,} characters"
            )
    return sorted(found, key=lambda piece: (piece.start, piece.end))


def read_pieces(path: str | os.PathLike[str], ending: str | None = None) -> list[Piece]:
    """Read the pieces in a file, by its ending, in the order of their starts.

    ``ending`` says how a file that has no name of its own would end, such as ``.rttm``.

    Raises
    ------
    DataError
        The file is missing, of another ending, too large or broken, or holds no piece; the line or field is named.
    """
    place = Path(path)
    ending = (ending or place.suffix).lower()
    table = partial(_table, ending=ending)
    readers: dict[str, Callable[[Path], list[Piece]]]
    readers = {".csv": table, ".tsv": table, ".rttm": _rttm, ".srt": _cues, ".vtt": _cues, ".json": _json}
    if ending not in readers:
        found = ending or "a file without an ending"
        raise DataError(f"{path}: no pieces are read from {found}; give one of {', '.join(readers)}")
    pieces = readers[ending](place)
    if not pieces:
        raise DataError(f"{path}: holds no piece of a recording; {_EXPECTED[ending]}")
    try:
        return checked(pieces)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


_EXPECTED = {
    ".csv": "expected the columns start, end, and speaker and text where they are known",
    ".tsv": "expected the columns start, end, and speaker and text where they are known",
    ".rttm": "expected lines such as SPEAKER call 1 0.00 2.50 <NA> <NA> anna <NA> <NA>",
    ".srt": "expected cues such as 00:00:01,000 --> 00:00:02,500",
    ".vtt": "expected cues such as 00:01.000 --> 00:02.500",
    ".json": "expected {'segments': [{'start', 'end', 'text', 'speaker'}]}",
}


def _table(path: Path, ending: str) -> list[Piece]:
    header, rows = read_separated(path, ending=ending)
    columns = [name.lower() for name in header]
    if not {"start", "end"} <= set(columns):
        raise DataError(f"{path}: has the columns {', '.join(header)!r:.200}; {_EXPECTED['.csv']}")
    pieces = []
    for number, row in rows:
        of = dict(zip(columns, row, strict=False))
        start, end = (_seconds(of[name], f"{path}: row {number}, {name}") for name in ("start", "end"))
        pieces.append(Piece(start, end, of.get("speaker", "").strip(), of.get("text", "").strip()))
    return pieces


def _rttm(path: Path) -> list[Piece]:
    pieces = []
    files: dict[str, None] = {}
    for number, line in enumerate(_text(path).splitlines(), start=1):
        fields = line.split()
        if not fields or fields[0] != "SPEAKER":
            continue
        where = f"{path}: line {number}"
        if len(fields) < 8:
            raise DataError(f"{where}: has {len(fields)} fields; {_EXPECTED['.rttm']}")
        start, duration = _seconds(fields[3], f"{where}, start"), _seconds(fields[4], f"{where}, duration")
        files[fields[1]] = None
        if duration:  # some write turns in which nothing is said
            pieces.append(Piece(start, start + duration, "" if fields[7] == "<NA>" else fields[7]))
    if len(files) > 1:
        raise DataError(
            f"{path}: holds {len(files)} recordings, expected one; keep the lines of one of {first_five(files)}"
        )
    return pieces


def _cues(path: Path) -> list[Piece]:
    cues: list[tuple[float, float, str]] = []
    lines = _text(path).splitlines()
    for number, line in enumerate(lines):
        times = _ARROW.match(line)
        if times:
            start, end = (_clock(each, f"{path}: line {number + 1}") for each in times.groups())
            words = []
            for below in lines[number + 1 :]:
                if not below.strip():
                    break
                words.append(below.strip())
            cues.append((start, end, "\n".join(words)))
    named = bool(cues) and all(_NAMED.fullmatch(words) for _, _, words in cues if words)
    return [Piece(start, end, *_who(words, named)) for start, end, words in cues if end != start]


def _who(words: str, named: bool) -> tuple[str, str]:
    """Return speaker and words of a cue, without its tags."""
    voice = _VOICE.search(words)
    plain = html.unescape(re.sub(r"<[^<>]*>", "", words)).strip()
    if voice:
        return html.unescape(voice[1]).strip(), plain
    found = _BRACKETED.fullmatch(plain) or (_NAMED.fullmatch(plain) if named else None)
    return (found[1].strip(), found[2].strip()) if found else ("", plain)


def _json(path: Path) -> list[Piece]:
    plain = json_text.read(path, most=MAX_BYTES)
    segments = plain.get("segments") if isinstance(plain, dict) else plain
    if not isinstance(segments, list):
        raise DataError(f"{path}: holds no list of segments; {_EXPECTED['.json']}")
    pieces = []
    for number, each in enumerate(segments, start=1):
        where = f"{path}: segment {number}"
        if not isinstance(each, dict):
            raise DataError(f"{where} is {type(each).__name__}; {_EXPECTED['.json']}")
        start, end = (_seconds(each.get(name), f"{where}, {name}") for name in ("start", "end"))
        pieces.append(Piece(start, end, _word(each, "speaker", where), _word(each, "text", where)))
    return pieces


def _word(segment: Mapping[str, Any], name: str, where: str) -> str:
    found = segment.get(name)
    if found is not None and not isinstance(found, str | int):
        raise DataError(f"{where}: {name} is {found!r:.60}, expected text")
    return "" if found is None else str(found).strip()


def _seconds(found: object, where: str) -> float:
    try:
        seconds = float(found) if isinstance(found, str | int | float) else math.nan
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise DataError(f"{where}: is {found!r:.60}, expected seconds such as 12.5")
    return seconds


def _clock(stamp: str, where: str) -> float:
    found = _CLOCK.fullmatch(stamp)
    if not found:
        raise DataError(f"{where}: is {stamp!r:.60}, expected a time such as 00:01:02,500")
    hours, minutes, seconds = found.groups()
    return 3600 * int(hours or 0) + 60 * int(minutes) + float(seconds.replace(",", "."))


def _text(path: Path) -> str:
    try:
        return read_bytes(path, MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is no UTF-8 at byte {error.start}; save it as UTF-8") from error
