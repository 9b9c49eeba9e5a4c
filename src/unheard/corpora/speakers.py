"""Other names for the speakers of a table: nearly equal spellings merged, or renamed one by one."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from unheard.corpora.names import merged
from unheard.errors import UsageError, unknown

MERGE = "merge"


def renamed(table: pl.DataFrame, speakers: str) -> pl.DataFrame:
    """Return a table whose speakers have other names.

    Parameters
    ----------
    table
        Utterances.
    speakers
        ``merge`` gives each group of nearly equal names (:mod:`unheard.corpora.names`) the one with the most
        clips, of equally many the first by name; ``OLD=NEW,OLD2=NEW`` renames these and no others.

    Raises
    ------
    UsageError
        Neither of the two, or a name that no speaker has.
    """
    known = table["speaker"].drop_nulls()
    clips = dict(known.value_counts().iter_rows())
    names = merged(clips) if speakers == MERGE else _parsed(speakers, list(clips))
    return table.with_columns(pl.col("speaker").replace(dict(names)))


def _parsed(text: str, found: list[str]) -> Mapping[str, str]:
    names: dict[str, str] = {}
    for part in text.split(","):
        old, equals, new = (piece.strip() for piece in part.partition("="))
        if not (old and equals and new) or old in names:
            raise UsageError(
                f"speakers {text!r}: {part!r}, expected 'merge', or OLD=NEW with commas, each old name once"
            )
        if old not in found:
            raise unknown("speaker of the table", old, sorted(found))
        names[old] = new
    return names
