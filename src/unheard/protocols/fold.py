"""Folds and protocols, the guard that checks them, and their hash.

A protocol has a name, a version, a corpus, a list of folds, and the columns whose values no two splits of a fold
may share. It is made by :func:`guarded` alone, which refuses a fold whose splits share such a value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import polars as pl

from unheard.corpora.names import comparable, nearly_equal, shown
from unheard.corpora.table import classes, corpus_of
from unheard.errors import ProtocolError, first_five
from unheard.files import digest

PARTS = ("train", "val", "test")


class Fold(NamedTuple):
    """Sorted utterance ids of the three splits of a fold."""

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]

    def __repr__(self) -> str:
        """Return the numbers of clips; a fold may hold a hundred thousand ids."""
        return (
            f"Fold({', '.join(f'{part}: {len(ids)} clips' for part, ids in zip(PARTS, self, strict=True))})"
        )


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

    def __repr__(self) -> str:
        """Return name, corpus, the numbers of folds and clips, and stamps: the folds may be of any size."""
        clips = len({i for parts in self.folds for ids in parts for i in ids})
        said = [f"{len(self.folds)} folds", f"{clips} clips", *self.stamps]
        return f"Protocol({self.name!r} on {self.corpus!r}: {', '.join(said)})"

    @cached_property
    def hash(self) -> str:
        """SHA-256 of ``{corpus, disjoint, folds}``: equal folds have equal hashes whatever made them."""
        folds = [{part: sorted(ids) for part, ids in zip(PARTS, parts, strict=True)} for parts in self.folds]
        return digest({"corpus": self.corpus, "disjoint": sorted(self.disjoint), "folds": folds})

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for a JSON file, the hash among them."""
        folds = [{part: list(ids) for part, ids in zip(PARTS, parts, strict=True)} for parts in self.folds]
        plain = {name: getattr(self, name) for name in ("name", "version", "corpus", "leaky", "hash")}
        return {**plain, "disjoint": list(self.disjoint), "stamps": list(self.stamps), "folds": folds}


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
    unverified: bool = False,
    test_only: bool = False,
    version: int = 1,
) -> Protocol:
    """Return a protocol whose folds were checked on this table.

    Parameters
    ----------
    name
        Name under which results are stored.
    table
        Utterance table; every id of the folds must be in it.
    folds
        The train, val and test split of each fold.
    disjoint
        Columns (``sentence``, ``session``, ``text``) whose values may be in one split only; ``speaker`` is always
        checked, whether it is named or not.
    leaky
        Whether the folds are declared leaky: shared values are stamped ``LEAKY`` and not refused.
    unverified
        Whether unknown values are stamped ``UNVERIFIED`` and not refused.
    test_only
        Whether the folds have no training clips, for models that were trained elsewhere.

    Raises
    ------
    ProtocolError
        An id is unknown or repeated, a training or test split is empty, a value is in two splits, or a value of a
        column that must be disjoint is unknown.
    """
    if not folds:
        raise ProtocolError(f"{name}: a protocol needs at least one fold")
    # Speakers are always checked; whether folds are declared leaky decides between a stamp and a refusal.
    apart = tuple(disjoint) if leaky else tuple(dict.fromkeys(("speaker", *disjoint)))
    columns = dict.fromkeys(("label", "speaker", *apart))
    value_of = {c: dict(zip(table["id"], table[c].to_list(), strict=True)) for c in columns}
    person_of = {i: name and comparable(name) for i, name in value_of["speaker"].items()}
    shared_speakers = unknown = False
    for number, parts in enumerate(folds):
        where = f"{name}, fold {number}"
        _check_ids(where, parts, value_of["label"], trains=not test_only)
        for column in apart if not leaky else ():
            _check_disjoint(where, parts, column, value_of[column], unverified)
        if not leaky:
            _check_spellings(where, parts, value_of["speaker"], person_of)
        everybody = [i for ids in parts for i in ids]
        unknown |= any(value_of[c][i] is None for c in ("speaker", *apart) for i in everybody)
        shared_speakers |= bool(shared(parts, person_of))
    due = {"LEAKY": leaky and (shared_speakers or not unknown), "UNVERIFIED": unknown}
    stamps = tuple(stamp for stamp, is_due in due.items() if is_due)
    return Protocol(name, corpus_of(table), tuple(folds), apart, leaky, stamps, version=version)


def shared(parts: Fold, value_of: Mapping[str, Any]) -> list[str]:
    """Return the sorted values that are in more than one split; unknown (null) values count as different."""
    train, val, test = ({value_of[i] for i in ids} - {None} for ids in parts)
    return sorted(str(value) for value in (train & val) | (train & test) | (val & test))


def _check_ids(where: str, parts: Fold, known: Mapping[str, Any], trains: bool) -> None:
    for part, ids in zip(PARTS, parts, strict=True):
        strange = [i for i in ids if i not in known]
        if strange:
            raise ProtocolError(f"{where}: {part} names clips that the table lacks: {first_five(strange)}")
        if not ids and (part == "test" or (part == "train" and trains)):
            raise ProtocolError(f"{where}: the {part} part is empty")
    times = Counter(i for ids in parts for i in ids)
    double = sorted(i for i, n in times.items() if n > 1)
    if double:
        raise ProtocolError(
            f"{where}: the same clip stands in two parts or twice in one: {first_five(double)}"
        )


def check_classes(protocol: Protocol, table: pl.DataFrame) -> None:
    """Refuse folds of which one trains, and not on every class of the table."""
    label_of = dict(zip(table["id"], table["label"].to_list(), strict=True))
    for number, parts in enumerate(protocol.folds):
        learned = {label_of[i] for i in parts.train}
        absent = [label for label in classes(table) if label not in learned]
        if absent and parts.train:
            clips = table.filter(pl.col("label") == absent[0])
            people = clips["speaker"].drop_nulls().unique().sort()
            whose = f", of {first_five(people)}" if len(people) else ""
            raise ProtocolError(
                f"{protocol.name}, fold {number}: no training clip of the class {first_five(absent)} (all of its "
                f"{len(clips)} are elsewhere{whose}); leave it out (--labels {absent[0]}=), merge it with another "
                f"(--labels {absent[0]}=OTHER; labels=… in Python), or take other folds, such as group-3"
            )


def check_labels(table: pl.DataFrame) -> None:
    """Refuse a table of which one label is written in more than one way: each spelling would be a class.

    Raises
    ------
    ProtocolError
        Names the spellings.
    """
    clips = dict(table["label"].cast(pl.String).drop_nulls().value_counts().iter_rows())
    groups = nearly_equal(clips)
    if groups:
        listed = first_five(" = ".join(f"{shown(name)} ({clips[name]} clips)" for name in g) for g in groups)
        raise ProtocolError(
            f"NEARLY_EQUAL_LABELS: {listed} look like one label written in more than one way, and would be "
            "classes of their own; --labels merge makes one of them, --labels OLD=NEW renames, OLD= drops "
            "(labels=… in Python)"
        )


def _check_spellings(
    where: str, parts: Fold, speaker_of: Mapping[str, Any], person_of: Mapping[str, Any]
) -> None:
    """Refuse a fold of which two splits share a speaker under two spellings."""
    torn = set(shared(parts, person_of))
    if torn:
        names = sorted({speaker_of[i] for ids in parts for i in ids if person_of[i] in torn})
        raise ProtocolError(
            f"NEARLY_EQUAL_SPEAKERS: {where}: {first_five(map(shown, names))} look like "
            f"{'one person' if len(torn) == 1 else f'{len(torn)} people'} written in more than one way, in two "
            "parts; --speakers merge takes such names for one person, --speakers OLD=NEW,… renames people who are "
            "not (in Python: unheard.corpora.speakers.renamed)"
        )


def _check_disjoint(
    where: str, parts: Fold, column: str, value_of: Mapping[str, Any], unverified: bool
) -> None:
    blank = [i for ids in parts for i in ids if value_of[i] is None]
    if blank and not unverified:
        raise ProtocolError(
            f"{where}: {column} is unknown for {first_five(blank)}, and must not be in two parts; "
            f"fill in the column, or take random-k, whose score is stamped"
        )
    on_two = shared(parts, value_of)
    if on_two:
        raise ProtocolError(f"{column.upper()}_ON_TWO_SIDES: {where}: {column} {first_five(on_two)}")
