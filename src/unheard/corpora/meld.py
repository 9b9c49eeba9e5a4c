"""MELD: 13,708 utterances of a television series, each with the turns before it.

``{train,dev,test}_sent_emo.csv`` list what is said, by whom, and how; the recordings are ``diaD_uttU`` in the
folders of the archive (``train_splits``, ``dev_splits_complete``, ``output_repeated_splits_test``), at any depth.
Dialogue numbers begin anew in each part, so ids and dialogues carry the part: ``train/dia0_utt3``. Clips come as
MP4; copies converted to audio under the same names are taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unheard.corpora.folder import LeftOut, listed
from unheard.corpora.tabular import read_rows
from unheard.errors import DataError

NAME = "meld"
DESCRIPTION = "English, the series Friends, dialogues with text; the owner's parts share their speakers"
CITATION = (
    "Poria S, Hazarika D, Majumder N, Naik G, Cambria E, Mihalcea R (2019). MELD: A Multimodal Multi-Party "
    "Dataset for Emotion Recognition in Conversations. Proc. ACL 2019, 527-536. https://aclanthology.org/P19-1050"
)
LICENCE = "GPL-3.0 (repository); the texts are subtitles of a television series"
LABELS = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
LANGUAGES = ("en",)

#: Part -> folder of its clips in the owner's archive.
FOLDERS = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}
_COLUMNS = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID", "Season", "Episode")
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
_CLIP = re.compile(r"dia(\d{1,9})_utt(\d{1,9})", re.ASCII)


def scan(root: Path) -> Iterator[dict[str, Any] | LeftOut]:
    """Yield a row for every utterance of the tables that are there.

    Raises
    ------
    DataError
        None of the tables is there, or one lacks a column or holds an emotion or number that is none.
    """
    tables = _tables(root)
    if not tables:
        raise DataError(
            f"{root}: no train_sent_emo.csv, dev_sent_emo.csv or test_sent_emo.csv there or below"
        )
    rows = [row for part, table in tables.items() for row in _rows(part, table)]
    yield from listed(root, rows, _name, "the owner's tables")


def _tables(root: Path) -> dict[str, Path]:
    """Return the table of each part, the one nearest to ``root``."""
    found = {}
    for part in FOLDERS:
        places = sorted(root.rglob(f"{part}_sent_emo.csv"), key=lambda path: (len(path.parts), path))
        if places:
            found[part] = places[0]
    return found


def _name(path: Path) -> str | None:
    """Return part and clip of a path such as ``train/train_splits/dia0_utt3.mp4``; None where one is missing."""
    clip = _CLIP.fullmatch(path.stem)
    folders = [folder.lower() for folder in path.parts[:-1]]
    parts = {part for part in FOLDERS if any(_is_of(folder, part) for folder in folders)}
    if not clip or len(parts) != 1:
        return None
    return f"{parts.pop()}/dia{int(clip[1])}_utt{int(clip[2])}"


def _is_of(folder: str, part: str) -> bool:
    return folder == FOLDERS[part] or re.split(r"[^a-z]", folder)[0] == part


def _rows(part: str, table: Path) -> Iterator[dict[str, Any]]:
    for number, row in read_rows(table, columns=_COLUMNS, legacy=True):
        cells = {name: row[name].strip() for name in _COLUMNS}
        where = f"{table}: row {number}"
        if cells["Emotion"] not in LABELS:
            raise DataError(
                f"{where}, column 'Emotion': {cells['Emotion']!r}, expected one of {', '.join(LABELS)}"
            )
        for name in ("Dialogue_ID", "Utterance_ID", "Season", "Episode"):
            if not _NUMBER.fullmatch(cells[name]):
                raise DataError(f"{where}, column {name!r}: {cells[name]!r}, expected a whole number")
        clip = f"dia{int(cells['Dialogue_ID'])}_utt{int(cells['Utterance_ID'])}"
        yield {
            "id": f"{part}/{clip}",
            "recording": f"{part}/{clip}",
            "path": f"{FOLDERS[part]}/{clip}.mp4",
            "speaker": cells["Speaker"] or None,
            "language": "en",
            "session": f"S{int(cells['Season']):02d}E{int(cells['Episode']):02d}",
            "dialogue": f"{part}/{int(cells['Dialogue_ID'])}",
            "turn": str(int(cells["Utterance_ID"])),
            "text": cells["Utterance"] or None,
            "channel": "speech",
            "label": cells["Emotion"],
            "split": part,
            "licence": LICENCE,
        }
