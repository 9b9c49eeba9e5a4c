"""Corpora as utterance tables: one reader a file, each with its name, labels, citation and licence."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

import polars as pl

from unheard.corpora import generic, synthetic
from unheard.corpora.folder import LeftOut
from unheard.corpora.names import with_known
from unheard.corpora.table import one_gender, utterances
from unheard.errors import DataError, about, first_five, unknown
from unheard.files import cache_folder

__all__ = ["READERS", "LeftOut", "names", "read", "survey"]


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
    return survey(name, path)[0]


def survey(
    name: str, path: str | os.PathLike[str], *, sounds: str | os.PathLike[str] | None = None
) -> tuple[pl.DataFrame, list[LeftOut]]:
    """Read a corpus as :func:`read` does, and list everything that did not enter the table, with the reason.

    A speaker to whom the files give two genders is in that list too; the table has null there. Sounds that stand
    in the tables themselves are written into the folder ``sounds`` (None: ``sounds`` in the cache folder).
    """
    if name not in READERS:
        raise unknown("corpus", name, READERS)
    reader, root = READERS[name], Path(path)
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
        else:
            rows.append(with_known(item))
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
    return table, left + _two_genders(rows)


def _two_genders(rows: list[dict[str, Any]]) -> list[LeftOut]:
    genders: dict[str, set[str]] = {}
    for row in rows:
        if row.get("speaker") is not None and row.get("gender") is not None:
            genders.setdefault(row["speaker"], set()).add(row["gender"])
    return [
        LeftOut(
            f"gender of speaker {speaker}",
            f"GENDER_CONFLICT: {' and '.join(sorted(found))}; null in the table",
        )
        for speaker, found in sorted(genders.items())
        if len(found) > 1
    ]
