"""Pieces of one recording that overlap in time and lie in two splits of a fold: known from the table alone."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from unheard.auditing.certificate import Finding, finding
from unheard.metrics.formatting import counted
from unheard.protocols.fold import Protocol

#: Seconds by which two pieces must overlap: those that touch were cut at a rounded time.
LEAST = 0.02


def check_overlaps(table: pl.DataFrame, protocol: Protocol) -> list[Finding]:
    """Return ``OVERLAP_ACROSS_SIDES``, by path, ``start`` and ``end`` of the pieces."""
    parts = [{name: part for part, ids in enumerate(fold) for name in ids} for fold in protocol.folds]
    found: dict[str, int] = {}
    for first, second, seconds in overlapping(table):
        places = [(of.get(first), of.get(second)) for of in parts]
        torn = sum(a is not None and b is not None and a != b for a, b in places)
        if torn:
            found[f"{first} and {second} share {seconds:.2f} s"] = torn
    if not found:
        return []
    message = (
        f"{counted(len(found), 'pair')} of pieces of one recording overlap in time and lie in two splits of a "
        "fold: seconds that are tested were trained on."
    )
    cases = (f"{pair} in {number} of {len(parts)} folds" for pair, number in found.items())
    return [finding("OVERLAP_ACROSS_SIDES", "error", message, cases)]


def overlapping(table: pl.DataFrame) -> Iterator[tuple[str, str, float]]:
    """Yield each two ids of one file whose times overlap, with the seconds that they share."""
    # A file without times is whole: it overlaps with each of its pieces.
    rows = table.select(
        "path", "id", pl.col("start").fill_null(0.0), pl.col("end").fill_null(float("inf")), "duration"
    ).sort("path", "start", "id")
    open_pieces: list[tuple[str, float]] = []
    last = None
    for path, name, start, end, duration in rows.iter_rows():
        end = start + duration if end == float("inf") and duration is not None else end
        open_pieces = [] if path != last else [piece for piece in open_pieces if piece[1] > start + LEAST]
        last = path
        for other, until in open_pieces:
            shared = min(until, end) - start
            if shared > LEAST:
                yield other, name, shared
        open_pieces.append((name, end))
