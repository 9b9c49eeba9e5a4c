"""Which speakers, sentences and sessions are in two splits of a fold, and how often each clip is tested."""

from __future__ import annotations

from collections import Counter

import polars as pl

from unheard.auditing.certificate import Finding, finding
from unheard.errors import ProtocolError
from unheard.metrics.formatting import counted
from unheard.protocols.fold import Protocol, shared

#: Mean share of speakers who say a clip's text from which the text is taken to be fixed by the corpus' design.
BY_DESIGN = 0.75
#: A test split that is this many times as large as another's is reported.
UNEVEN = 2.0

COLUMNS = ("speaker", "session", "dialogue", "sentence", "text")


def check_splits(table: pl.DataFrame, protocol: Protocol) -> list[Finding]:
    """Return ``…_ON_TWO_SIDES`` for every column of :data:`COLUMNS`, ``FOLD_SIZES`` and ``FOLD_COVERAGE``."""
    used = {name for parts in protocol.folds for ids in parts for name in ids}
    rows = table.filter(pl.col("id").is_in(list(used)))
    columns = COLUMNS[:-1] if _same_partition(rows) else COLUMNS
    findings = [_in_two_parts(column, rows, protocol) for column in columns]
    return [f for f in (*findings, _sizes(protocol), _coverage(rows, protocol)) if f is not None]


def protocol_refused(reason: ProtocolError) -> Finding:
    """Return the finding about folds that cannot be made from the table, which is audited alone then."""
    return Finding("PROTOCOL_REFUSED", "error", f"no folds can be made: {reason}", 1)


def in_two_parts(column: str, table: pl.DataFrame, protocol: Protocol) -> dict[str, int]:
    """Return the values of a column that are in two splits of a fold, each with its number of folds."""
    value_of = {name: None for parts in protocol.folds for ids in parts for name in ids}
    value_of.update(zip(table["id"], table[column].to_list(), strict=True))
    return Counter(value for parts in protocol.folds for value in shared(parts, value_of))


def _in_two_parts(column: str, rows: pl.DataFrame, protocol: Protocol) -> Finding | None:
    found = in_two_parts(column, rows, protocol)
    if not found:
        return None
    all_of_them = rows[column].drop_nulls().n_unique()
    severity, why = _weight(column, rows, protocol)
    message = (
        f"{len(found)} of {all_of_them} values of {column} are in two splits of a fold, "
        f"in up to {max(found.values())} of {len(protocol.folds)} folds: {why}."
    )
    cases = (f"{_short(value)} in {n} of {len(protocol.folds)} folds" for value, n in found.items())
    return finding(f"{column.upper()}_ON_TWO_SIDES", severity, message, cases)


def _weight(column: str, rows: pl.DataFrame, protocol: Protocol) -> tuple[str, str]:
    """Return the severity and its reason."""
    if column == "speaker":
        return "error", "the score says nothing about unheard people"
    if column in protocol.disjoint:
        return "error", "the protocol promises that none is"
    if column in ("sentence", "text"):
        share = said_by(rows, column)
        if share is not None and share >= BY_DESIGN:
            return (
                "information",
                f"fixed by the corpus' design, {100 * share:.0f} % of its speakers say each text",
            )
        return "warning", "words of training are tested, which helps where the words tell the label"
    return "warning", f"clips of one {column} share a room, a partner or a mood, which helps"


def said_by(rows: pl.DataFrame, column: str) -> float | None:
    """Return the share of speakers who say a clip's text, as mean over clips; None where too little is known."""
    known = rows.filter(pl.col(column).is_not_null() & pl.col("speaker").is_not_null())
    speakers = known["speaker"].n_unique()
    if speakers < 2:
        return None
    mean = known.select(pl.col("speaker").n_unique().over(column).mean()).item()
    return float(mean) / speakers


def _same_partition(rows: pl.DataFrame) -> bool:
    """Return whether the texts and the sentences split the clips in the same way."""
    pairs = rows.select("sentence", "text").unique()
    return bool(
        rows["sentence"].null_count() == 0
        and rows["text"].null_count() in (0, len(rows))
        and len(pairs) == rows["sentence"].n_unique()
        and pairs["text"].drop_nulls().is_unique().all()
    )


def _sizes(protocol: Protocol) -> Finding | None:
    sizes = [len(parts.test) for parts in protocol.folds]
    if max(sizes) < UNEVEN * min(sizes):
        return None
    message = (
        f"the test splits hold {min(sizes)} to {max(sizes)} clips: a mean over folds weights them equally."
    )
    uneven = [f"fold {number}: {size} clips" for number, size in enumerate(sizes)]
    return Finding("FOLD_SIZES", "information", message, len(sizes), tuple(uneven[:25]))


def _coverage(rows: pl.DataFrame, protocol: Protocol) -> Finding | None:
    tested = Counter(name for parts in protocol.folds for name in parts.test)
    times = Counter(tested.get(name, 0) for name in rows["id"])
    if set(times) == {1} or len(protocol.folds) == 1:
        return None
    message = "not every clip is tested once: " + ", ".join(
        f"{counted(times[n], 'clip')} {'never' if n == 0 else f'{n} times' if n > 1 else 'once'}"
        for n in sorted(times)
    )
    odd = (name for name in rows["id"] if tested.get(name, 0) != 1)
    return finding("FOLD_COVERAGE", "information", message + ".", odd)


def _short(value: str) -> str:
    return value if len(value) <= 60 else value[:59] + "…"
