"""Several corpora as one utterance table, to learn from all of them or to leave one of them out."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from unheard.corpora.table import check, classes, complete, corpus_of
from unheard.errors import UsageError, first_five

#: Columns whose values mean something within their corpus alone.
OWN = ("id", "speaker", "session", "dialogue", "sentence", "take")


def joined(tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return one table of the clips of several corpora, each named ``CORPUS/…`` as its speaker is.

    Labels of one name are one class: map them first (``unheard.corpora.relabel``). The classes stand in the order
    in which the tables bring them. The owners' splits are left out, since they mean nothing beside each other.

    Parameters
    ----------
    tables
        Utterances of one corpus each.

    Raises
    ------
    UsageError
        Fewer than two tables, or two of one corpus.
    """
    names = [corpus_of(table) for table in tables]
    if len(tables) < 2 or len(set(names)) < len(names):
        raise UsageError(f"expected tables of two corpora or more, each once; found {first_five(names)}")
    label = pl.Enum(list(dict.fromkeys(name for table in tables for name in classes(table))))
    parts = [
        complete(table).with_columns(
            *((pl.col("corpus") + "/" + pl.col(name)).alias(name) for name in OWN),
            pl.col("label").cast(pl.String).cast(label),
            split=pl.lit(None, dtype=pl.String),
        )
        for table in tables
    ]
    return check(pl.concat(parts).sort("id"))
