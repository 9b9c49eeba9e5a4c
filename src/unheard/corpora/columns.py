"""Columns of a table of somebody's own: found by their usual names, however these are written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

from unheard.corpora.table import SCHEMA
from unheard.errors import DataError, first_five

#: Our column -> other names for it, compared by :func:`plain_name`; the first that a table has is taken.
ALIASES = {
    "id": ("clip_id", "utterance_id", "utt_id", "segment_id"),
    "path": (
        "file", "filename", "filepath", "audio", "audio_file", "audio_filename", "audio_filepath", "audio_path",
        "wav", "wav_file", "wav_path", "recording",
    ),
    "start": ("start_time", "begin"),
    "end": ("end_time",),
    "label": ("emotion", "class", "emo", "emotion_label", "emotion_class", "category"),
    "speaker": (
        "speaker_id", "spk", "spk_id", "actor", "actor_id", "subject", "subject_id", "participant",
        "participant_id", "client_id",
    ),
    "gender": ("sex",),
    "language": ("lang", "locale"),
    "session": ("session_id",),
    "dialogue": ("dialog", "dialogue_id", "dialog_id"),
    "turn": ("turn_id",),
    "text": ("transcript", "transcription"),
    "activation": ("arousal",),
    "split": ("partition", "subset"),
    "licence": ("license",),
}  # fmt: skip
#: What other tools call a column that only counts the rows, as pandas does without ``index=False``.
_ROW_NUMBERS = re.compile(r"|Unnamed: \d+(_level_\d+)?|__index_level_\d+__", re.ASCII)


def plain_name(column: str) -> str:
    """Return the name of a column without case, blanks, ``_`` and ``-``: ``Speaker ID`` gives ``speakerid``."""
    return re.sub(r"[\s_-]+", "", column).casefold()


def columns_of(table: Path | str, found: Iterable[str]) -> dict[str, str]:
    """Return the table's column for each of ours.

    Parameters
    ----------
    table
        Named in errors.
    found
        Columns of the table.

    Raises
    ------
    DataError
        There is no column ``path`` or ``label``; two columns differ in case, blanks, ``_`` and ``-`` alone; or a
        column that is none of ours has nearly the name of one.
    """
    listed = list(found)
    plain: dict[str, list[str]] = {}
    for column in listed:
        plain.setdefault(plain_name(column), []).append(column)
    columns: dict[str, str] = {}
    for name in SCHEMA:
        for alias in (name, *ALIASES.get(name, ())):
            there = plain.get(plain_name(alias), [])
            if len(there) > 1 and alias not in there:
                raise DataError(
                    f"{table}: the columns {first_five(map(repr, there))} are both {name!r}; drop one"
                )
            if there:
                columns[name] = alias if alias in there else there[0]
                break
    for name in ("path", "label"):
        if name not in columns:
            raise DataError(_lacking(table, name, listed))
    for column in set(listed) - set(columns.values()):
        free = {plain_name(name): name for name in SCHEMA if name not in columns}
        near = get_close_matches(plain_name(column), free, n=1, cutoff=0.85)
        if near:
            raise DataError(f"{table}: unknown column {column!r}; did you mean {free[near[0]]!r}?")
    return columns


def remarks(columns: Mapping[str, str], found: Iterable[str]) -> list[str]:
    """Return sentences that say what was taken for what, and which columns are not used.

    A column that only counts the rows is passed over without a word.
    """
    renamed = [f"{name} is {column!r}" for name, column in columns.items() if name != column]
    unused = sorted(
        column
        for column in map(str, found)
        if column not in columns.values() and not _ROW_NUMBERS.fullmatch(column)
    )
    return [
        *([f"columns: {', '.join(renamed)}"] if renamed else []),
        *([f"columns that are not used: {', '.join(unused)}"] if unused else []),
    ]


def _lacking(table: Path | str, name: str, found: list[str]) -> str:
    aliases = {plain_name(alias): alias for alias in (name, *ALIASES[name])}
    near = [column for column in found if get_close_matches(plain_name(column), aliases, n=1, cutoff=0.8)]
    hint = f"; is it {near[0]!r}? Call that column {name!r}" if near else ""
    nameless = "" if "" not in found else "; one column has no name"
    return (
        f"{table}: lacks the column {name!r} (or {', '.join(ALIASES[name])}); "
        f"found: {', '.join(column for column in found if column)}{nameless}{hint}"
    )
