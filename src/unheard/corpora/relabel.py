"""Other classes for a table, by a mapping of labels (:mod:`unheard.labels`); votes follow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from unheard.corpora.names import merged
from unheard.corpora.table import DIMENSIONS, VOTE, check, classes
from unheard.errors import UsageError, first_five
from unheard.label_files import MERGE, parse
from unheard.labels import Labels


def mapping_of(table: pl.DataFrame, text: str) -> Labels:
    """Return the mapping for a table that was typed: ``merge``, or what :func:`unheard.label_files.parse` reads.

    ``merge`` gives each group of nearly equal labels (:mod:`unheard.corpora.names`), votes' ones among them, the
    name with the most clips, of equally many the first.
    """
    if text != MERGE:
        return parse(text)
    clips = dict(table["label"].cast(pl.String).drop_nulls().value_counts().iter_rows())
    return Labels(merged(dict.fromkeys(classes(table), 0) | clips), name=MERGE)


def relabel(table: pl.DataFrame, labels: Labels, *, also: Sequence[str] = ()) -> pl.DataFrame:
    """Return a table with other classes, in the order of those that they came from; votes follow.

    A clip whose label is dropped stays without one; a vote for a dropped label leaves, unless it has dimensions.

    Parameters
    ----------
    table
        Utterances.
    labels
        New label of each old one.
    also
        Labels that the mapping may name although the table does not have them, such as those of a model.

    Raises
    ------
    UsageError
        A mapping without a version names a label that the table does not have, or no class is left.
    """
    old = classes(table)
    labels.check((*old, *also), "the table")
    new = labels.classes(old)
    if not new:
        raise UsageError(f"labels {labels.name}: none of the classes {first_five(old)} is left")
    column = pl.Series("label", [labels.of(label) for label in table["label"]], dtype=pl.String)
    column = column.cast(pl.Enum(list(new)))
    mapped = table.with_columns(column)
    if "votes" in table.columns:
        votes = [_votes(given, labels) for given in table["votes"].to_list()]
        mapped = mapped.with_columns(pl.Series("votes", votes, dtype=pl.List(VOTE)))
    return check(mapped)


def _votes(votes: list[dict[str, Any]] | None, labels: Labels) -> list[dict[str, Any]] | None:
    renamed = ({**vote, "label": labels.of(vote["label"])} for vote in votes or ())
    said = [vote for vote in renamed if any(vote[name] is not None for name in ("label", *DIMENSIONS))]
    return said or None
