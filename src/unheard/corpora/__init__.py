"""Corpora as utterance tables: one reader a file, each with its name, labels, citation and licence."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, NamedTuple

import polars as pl

from unheard.audio.source import SLACK
from unheard.corpora import audformat, generic, huggingface, synthetic
from unheard.corpora.columns import columns_of
from unheard.corpora.folder import LeftOut, Remark, duration
from unheard.corpora.names import with_known
from unheard.corpora.table import one_gender, utterances
from unheard.corpora.tabular import SUFFIXES, read_rows
from unheard.errors import DataError, UsageError, about, first_five, unknown
from unheard.files import cache_folder

__all__ = ["READERS", "LeftOut", "Remark", "Survey", "names", "read", "reader_of", "survey"]


def _readers() -> dict[str, ModuleType]:
    """Return the modules of this package that read a corpus, by its name: those that have ``scan``."""
    found = (import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__))
    return {module.NAME: module for module in found if hasattr(module, "scan")}


#: Modules with NAME, DESCRIPTION, CITATION, LICENCE, LABELS, LANGUAGES and ``scan(root)``, and SCALE (minimum and
#: maximum of its dimensions) where that is not 0 to 1. One whose tables may hold the sounds themselves has
#: HOLDS_SOUNDS and ``scan(root, sounds)``. A module that is put into this folder is found.
READERS: dict[str, ModuleType] = _readers()


def names() -> list[str]:
    """Return the names that :func:`read` takes."""
    return list(READERS)


def read(name: str, path: str | os.PathLike[str]) -> pl.DataFrame:
    """Read a corpus from its folder (or, for ``generic``, its table) into an utterance table.

    Raises
    ------
    UsageError
        There is no reader of that name.
    DataError
        The folder is missing, holds no recording of that corpus, or a table does not hold.
    """
    return survey(name, path).table


class Survey(NamedTuple):
    """A corpus as it was read."""

    table: pl.DataFrame
    #: Files that are not in the table, and why.
    left_out: list[LeftOut]
    #: What was taken for what: columns, folders, readers; a speaker with two genders, who has none in the table.
    remarks: list[Remark]


def survey(
    name: str, path: str | os.PathLike[str], *, sounds: str | os.PathLike[str] | None = None
) -> Survey:
    """Read a corpus as :func:`read` does, and say what did not enter the table and what was taken for what.

    A folder that is given as ``generic`` and that another reader knows is read by that one. Sounds that stand in
    the tables themselves are written into the folder ``sounds`` (None: ``sounds`` in the cache folder).
    """
    if name not in READERS:
        raise unknown("corpus", name, READERS)
    if not isinstance(path, str | os.PathLike):
        raise UsageError(f"expected the folder of the corpus {name}, found {type(path).__name__}")
    root = Path(path)
    remarks: list[Remark] = []
    if name == generic.NAME and (found := reader_of(root)) != name:
        name = found
        remarks.append(Remark(f"{root}: read as {name}, by what lies there"))
    reader = READERS[name]
    if name != synthetic.NAME and (root / synthetic.MARKER).is_file():
        raise DataError(
            f"{root} holds synthetic speech; read it as {synthetic.NAME!r}, so that it is stamped as such"
        )
    rows: list[dict[str, Any]] = []
    left: list[LeftOut] = []
    place = (Path(sounds or cache_folder() / "sounds"),) if hasattr(reader, "HOLDS_SOUNDS") else ()
    for item in reader.scan(root, *place):
        if isinstance(item, LeftOut):
            left.append(item)
        elif isinstance(item, Remark):
            remarks.append(item)
        else:
            rows.append(with_known(item))
    own = _own_table(root, left, rows) if name == generic.NAME else None
    if own is not None:
        raise DataError(f"{root}: give its table instead: unheard prepare {generic.NAME} {root / own}")
    if not rows:
        seen = first_five(f"{item.path} ({item.reason})" for item in left) or "nothing"
        raise DataError(f"{root}: no utterances of {name!r} there; found {seen}")
    corpus = sorted({row.get("corpus") or name for row in rows})
    if len(corpus) > 1:
        raise DataError(f"{root}: one table holds one corpus; found {first_five(corpus)} in column 'corpus'")
    with about(root):
        table = utterances(
            one_gender(rows),
            corpus=corpus[0],
            labels=reader.LABELS or generic.classes(root, rows),
            scale=getattr(reader, "SCALE", (0.0, 1.0)),
        )
    return Survey(table, left, [*remarks, *_two_genders(rows), *_pieces_beyond(rows)])


def reader_of(path: Path) -> str:
    """Return the name of the reader of a folder or table of which no corpus is known, by what lies there."""
    if (path / audformat.HEADER).is_file():
        return audformat.NAME
    return huggingface.NAME if huggingface.is_dataset(path) else generic.NAME


def _own_table(root: Path, left: list[LeftOut], rows: list[dict[str, Any]]) -> str | None:
    """Return the table in a folder that says more than the folder: metadata, or any where there are no classes."""
    tables = [item.path for item in left if Path(item.path).suffix.lower() in SUFFIXES]
    if not root.is_dir() or len({row["label"] for row in rows}) > 1:
        tables = [path for path in tables if path in huggingface.METADATA]
    return next((path for path in tables if _lists_clips(root / path)), None)


def _lists_clips(table: Path) -> bool:
    try:
        columns_of(table, read_rows(table)[0][1])
    except DataError:
        return False
    return True


def _pieces_beyond(rows: list[dict[str, Any]]) -> list[Remark]:
    """Say which pieces of recordings begin or end beyond the end of their file: a run could not read them."""
    lengths: dict[str, float | None] = {}
    beyond = []
    for row in rows:
        start, end = row.get("start") or 0.0, row.get("end")
        if not start and end is None:
            continue
        if row["path"] not in lengths:
            lengths[row["path"]] = duration(Path(row["path"]))
        whole = lengths[row["path"]]
        if whole is not None and (start >= whole or (end or 0.0) > whole + SLACK):
            to = "s to its end" if end is None else f"to {end:g} s"
            beyond.append(f"{row['id']} ({start:g} {to} of {whole:g} s)")
    if not beyond:
        return []
    many = "1 piece lies" if len(beyond) == 1 else f"{len(beyond)} pieces lie"
    return [
        Remark(f"{many} beyond the end of the recording: {first_five(beyond)}; are the times in seconds?")
    ]


def _two_genders(rows: list[dict[str, Any]]) -> list[Remark]:
    genders: dict[str, set[str]] = {}
    for row in rows:
        if row.get("speaker") is not None and row.get("gender") is not None:
            genders.setdefault(row["speaker"], set()).add(row["gender"])
    return [
        Remark(f"GENDER_CONFLICT: speaker {speaker} is {' and '.join(sorted(found))}; null in the table")
        for speaker, found in sorted(genders.items())
        if len(found) > 1
    ]
