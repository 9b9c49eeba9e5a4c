"""A fold, a protocol, the guard and the hash.

A protocol is a name, a version, a corpus, a list of folds and what must be disjoint between their sides. It can
only be made through :func:`guarded`, which refuses a fold whose sides share what they must not share.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import polars as pl

from unheard.errors import ProtocolError, first_five
from unheard.files import digest

PARTS = ("train", "val", "test")


class Fold(NamedTuple):
    """Sorted utterance ids of the three sides."""

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True)
class Protocol:
    """Folds that were checked against a table when they were built (see :func:`guarded`)."""

    name: str
    corpus: str
    folds: tuple[Fold, ...]
    disjoint: tuple[str, ...] = ("speaker",)
    leaky: bool = False
    stamps: tuple[str, ...] = ()
    version: int = field(default=1, kw_only=True)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of ``{corpus, disjoint, folds}``: equal folds have equal hashes whatever made them."""
        folds = [{part: sorted(ids) for part, ids in zip(PARTS, fold, strict=True)} for fold in self.folds]
        return digest({"corpus": self.corpus, "disjoint": sorted(self.disjoint), "folds": folds})


def fold(train: Iterable[str], val: Iterable[str], test: Iterable[str]) -> Fold:
    """Make a fold with sorted ids."""
    return Fold(tuple(sorted(train)), tuple(sorted(val)), tuple(sorted(test)))


def guarded(
    name: str,
    table: pl.DataFrame,
    folds: Sequence[Fold],
    *,
    disjoint: Sequence[str] = ("speaker",),
    leaky: bool = False,
    version: int = 1,
) -> Protocol:
    """Return a protocol whose folds keep their promise on this table.

    Parameters
    ----------
    name
        Name under which results are stored.
    table
        Utterance table; every id of the folds must be in it.
    folds
        The sides.
    disjoint
        Columns (``speaker``, ``sentence``, ``session``, ``text``) whose values may stand on one side only.
    leaky
        Declared leaky: shared speakers are stamped instead of refused.

    Raises
    ------
    ProtocolError
        Unknown or repeated ids, an empty training or test side, a class absent from training, a value on two
        sides, or unknown values in a column that must be disjoint.
    """
    columns = {
        column: dict(zip(table["id"], table[column].to_list(), strict=True))
        for column in ("speaker", "label", *disjoint)
    }
    known = columns["label"]
    if not folds:
        raise ProtocolError(f"{name}: a protocol needs at least one fold")
    shared_speakers = False
    unknown_speakers = False
    for number, sides in enumerate(folds):
        where = f"{name}, fold {number}"
        _check_ids(where, sides, known)
        _check_classes(where, sides, known)
        speakers = columns["speaker"]
        for side in sides:
            unknown_speakers |= any(speakers[i] is None for i in side)
        shared_speakers |= bool(_shared(sides, speakers))
        if leaky:
            continue
        for column in disjoint:
            blank = [i for side in sides for i in side if columns[column][i] is None]
            if blank:
                raise ProtocolError(
                    f"{where}: {column} is unknown for {first_five(blank)}, and must not be on two sides; "
                    f"fill the column, or take a protocol that is declared leaky (random-k)"
                )
            shared = _shared(sides, columns[column])
            if shared:
                raise ProtocolError(f"{column.upper()}_ON_TWO_SIDES: {where}: {column} {first_five(shared)}")
    stamps = tuple(
        stamp
        for stamp, due in (
            ("LEAKY", leaky and (shared_speakers or not unknown_speakers)),
            ("UNVERIFIED", unknown_speakers),
        )
        if due
    )
    corpus = str(table["corpus"][0])
    return Protocol(name, corpus, tuple(folds), tuple(disjoint), leaky, stamps, version=version)


def _check_ids(where: str, sides: Fold, known: dict[str, str | None]) -> None:
    for part, side in zip(PARTS, sides, strict=True):
        strange = [i for i in side if i not in known]
        if strange:
            raise ProtocolError(f"{where}: {part} names clips that the table lacks: {first_five(strange)}")
        if part != "val" and not side:
            raise ProtocolError(f"{where}: the {part} side is empty")
    everything = [i for side in sides for i in side]
    double = (
        sorted({i for i in everything if everything.count(i) > 1})
        if len(set(everything)) < len(everything)
        else []
    )
    if double:
        raise ProtocolError(
            f"{where}: the same clip stands on two sides or twice on one: {first_five(double)}"
        )


def _check_classes(where: str, sides: Fold, labels: dict[str, str | None]) -> None:
    learnt = {labels[i] for i in sides.train}
    asked = {labels[i] for i in (*sides.val, *sides.test)} - {None}
    absent = sorted(str(c) for c in asked - learnt)
    if absent:
        raise ProtocolError(f"{where}: no training clip of the class {first_five(absent)}")


def _shared(sides: Fold, value_of: dict[str, str | None]) -> list[str]:
    """Values that stand on more than one side, sorted."""
    train, val, test = ({value_of[i] for i in side} - {None} for side in sides)
    return sorted(str(v) for v in (train & val) | (train & test) | (val & test))
