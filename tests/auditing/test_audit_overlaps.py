"""Pieces of one recording that overlap in time are found where a fold tears them."""

from __future__ import annotations

import pytest

from unheard.auditing.overlaps import check_overlaps, overlapping
from unheard.protocols.fold import fold, guarded

PIECES = {
    "a": ("talk.wav", 0.0, 4.0),
    "b": ("talk.wav", 3.0, 7.0),
    "c": ("talk.wav", 7.0, 9.0),
    "d": ("talk.wav", 7.01, 9.0),
    "e": ("other.wav", 0.0, 4.0),
    "f": ("whole.wav", None, None),
    "g": ("whole.wav", 5.0, 6.0),
    "h": ("talk.wav", 8.99, 9.5),
}


@pytest.fixture
def table(rows_table):
    return rows_table(
        [
            {"id": name, "path": path, "start": start, "end": end, "speaker": name, "label": "ab"[k % 2]}
            for k, (name, (path, start, end)) in enumerate(PIECES.items())
        ]
    )


def test_pieces_overlap_where_they_share_time_in_one_file(table):
    found = {(a, b): round(seconds, 2) for a, b, seconds in overlapping(table)}
    assert found == {("a", "b"): 1.0, ("c", "d"): 1.99, ("f", "g"): 1.0}


def test_only_pairs_in_two_splits_of_a_fold_are_found(table):
    torn = guarded("torn", table, [fold("acde", "f", "bgh"), fold("abgh", "", "cdef")])
    (found,) = check_overlaps(table, torn)
    assert (found.code, found.severity, found.count) == ("OVERLAP_ACROSS_SIDES", "error", 2)
    assert found.examples == ("a and b share 1.00 s in 1 of 2 folds", "f and g share 1.00 s in 2 of 2 folds")
    assert check_overlaps(table, guarded("whole", table, [fold("abcd", "fg", "eh")])) == []
