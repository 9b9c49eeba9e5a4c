"""nEMO: 4,481 recordings of nine Polish actors; ``data.tsv`` says everything, ``samples/`` holds the audio.

The table names ``.wav`` files; any audio extension is taken. Its ``speaker_id`` is written with leading blanks.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unheard.corpora.folder import LeftOut, clips
from unheard.corpora.tabular import read_rows
from unheard.errors import DataError

NAME = "nemo"
DESCRIPTION = "Polish, acted, nine actors, 90 sentences"
CITATION = (
    "Christop I (2024). nEMO: Dataset of Emotional Speech in Polish. Proc. LREC-COLING 2024, Torino, 12111-12116. "
    "https://aclanthology.org/2024.lrec-main.1059"
)
LICENCE = "CC BY-NC-SA 4.0"
LABELS = ("anger", "fear", "happiness", "neutral", "sadness", "surprised")
LANGUAGES = ("pl",)

_COLUMNS = ("file_id", "emotion", "raw_text", "speaker_id", "gender", "age")


def scan(root: Path) -> Iterator[dict[str, Any] | LeftOut]:
    """Yield a row for every recording that ``data.tsv`` lists and the folder holds.

    Raises
    ------
    DataError
        There is no ``data.tsv``, or it lacks a column.
    """
    listed = _listed(root / "data.tsv")

    def fields(path: Path) -> dict[str, Any] | str:
        return listed.get(path.stem, "not in data.tsv")

    missing = set(listed)
    for item in clips(root, fields):
        if not isinstance(item, LeftOut):
            missing.discard(item["id"])
        yield item
    for name in sorted(missing):
        yield LeftOut(name, "in data.tsv but not in the folder")


def _listed(table: Path) -> dict[str, dict[str, Any] | str]:
    """Return the fields of each clip by its id, or what is wrong with its row."""
    if not table.is_file():
        raise DataError(f"{table}: no such file; give the folder that holds data.tsv and samples/")
    rows = read_rows(table, columns=_COLUMNS)
    return {Path(str(row["file_id"]).strip()).stem: _row(row) for _, row in rows}


def _row(row: dict[str, Any]) -> dict[str, Any] | str:
    row = {key: str(value).strip() for key, value in row.items()}
    speaker, _, rest = Path(row["file_id"]).stem.partition("_")
    emotion, _, sentence = rest.partition("_")
    if row["emotion"] not in LABELS:
        return f"emotion is {row['emotion']!r} in data.tsv, expected one of {', '.join(LABELS)}"
    if (speaker, emotion) != (row["speaker_id"], row["emotion"]):
        return f"its name contradicts data.tsv ({row['speaker_id']}, {row['emotion']})"
    return {
        "speaker": speaker,
        "gender": row["gender"] if row["gender"] in ("female", "male") else None,
        "age": float(row["age"]) if row["age"].isdecimal() else None,
        "language": "pl",
        "sentence": sentence,
        "text": row["raw_text"],
        "channel": "speech",
        "label": emotion,
        "licence": LICENCE,
    }
