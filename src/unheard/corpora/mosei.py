"""CMU-MOSEI: 23,259 segments of 3,293 videos, by the table ``CMU_MOSEI_Labels.csv``.

Recordings are whole videos' sound (``WAV_16000/VIDEO.wav``), of which a segment is a piece, or files a segment
(``Segmented_Audio/PART/VIDEO_INDEX.wav``), which are taken where they are there. Who speaks is not known: a video
may show several people, and people may have several videos.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unheard.corpora.folder import LeftOut, listed
from unheard.corpora.table import LONGEST
from unheard.corpora.tabular import read_rows
from unheard.errors import DataError
from unheard.formats.numbers import number_in

NAME = "mosei"
DESCRIPTION = "English, monologues of YouTube, one class a segment, speakers unknown"
CITATION = (
    "Zadeh A, Liang PP, Poria S, Cambria E, Morency LP (2018). Multimodal Language Analysis in the Wild: "
    "CMU-MOSEI Dataset and Interpretable Dynamic Fusion Graph. Proc. ACL 2018, 2236-2246. https://aclanthology.org/P18-1208"
)
LICENCE = "none stated for the table; the videos are their owners'"
#: In the order of the table's numbers (``label6``).
LABELS = ("happy", "sad", "anger", "surprise", "disgust", "fear")
LANGUAGES = ("en",)

TABLE = "CMU_MOSEI_Labels.csv"
_COLUMNS = ("file", "index", "start", "end", "label6", "split")
_CLASSES = {str(number): label for number, label in enumerate(LABELS)}
_INDEX = re.compile(r"\d{1,9}", re.ASCII)
_PARTS = {"0": "train", "1": "valid", "2": "test", "3": "unused"}


def scan(root: Path) -> Iterator[dict[str, Any] | LeftOut]:
    """Yield a row for every segment of the table.

    Raises
    ------
    DataError
        The table is not there, lacks a column, or holds a value that does not hold: names row and column.
    """
    tables = sorted(root.rglob(TABLE), key=lambda path: (len(path.parts), path))
    if not tables:
        raise DataError(f"{root}: no {TABLE} there or below")
    rows_of_table = read_rows(tables[0], columns=_COLUMNS)
    segments = [_segment(f"{tables[0]}: row {number}", row) for number, row in rows_of_table]
    videos = {segment["session"] for segment in segments}
    cut = {segment["id"] for segment in segments}

    def name_of(path: Path) -> str | None:
        return path.stem if path.stem in videos | cut else None

    there = {path.stem for path in root.rglob("*") if path.stem in cut}
    rows = (
        segment | {"recording": segment["id"], "start": None, "end": None}
        if segment["id"] in there
        else segment | {"recording": segment["session"]}
        for segment in segments
    )
    yield from listed(root, rows, name_of, TABLE)


def _segment(where: str, row: dict[str, str]) -> dict[str, Any]:
    video, index = row["file"].strip(), row["index"].strip()
    if not video or not _INDEX.fullmatch(index):
        raise DataError(
            f"{where}: file is {video!r} and index {index!r}, expected a video and a whole number"
        )
    label, part = row["label6"].strip(), row["split"].strip()
    if label not in _CLASSES:
        raise DataError(f"{where}, column 'label6': {label!r}, expected 0 to {len(LABELS) - 1}")
    if part not in _PARTS:
        raise DataError(f"{where}, column 'split': {part!r}, expected one of {', '.join(_PARTS)}")
    return {
        "id": f"{video}_{index}",
        "path": f"Audio/Full/WAV_16000/{video}.wav",
        "start": _seconds(where, row, "start"),
        "end": _seconds(where, row, "end"),
        "language": "en",
        "session": video,
        "channel": "speech",
        "label": _CLASSES[label],
        "split": _PARTS[part],
        "licence": LICENCE,
    }


def _seconds(where: str, row: dict[str, str], column: str) -> float:
    """Return the seconds of a cell; 239 segments begin before their video and are set to its beginning."""
    try:
        return max(number_in(row[column], -1, LONGEST), 0.0)
    except ValueError as error:
        raise DataError(f"{where}, column {column!r}: {error}") from error
