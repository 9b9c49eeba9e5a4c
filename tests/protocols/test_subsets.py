"""Subsets of training clips: nested, as many of each class, and of the fold's own training clips alone."""

from __future__ import annotations

from collections import Counter

import polars as pl
import pytest

import unheard as ut
from unheard.corpora.table import utterances
from unheard.errors import ProtocolError, UsageError
from unheard.protocols.subsets import largest, subset, usual_sizes, with_fold


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    """Twelve speakers with four clips of each class but a rare one, of which there are two."""
    clips = {"angry": 4, "happy": 4, "calm": 2}
    return utterances(
        [
            {
                "id": f"{speaker}-{label}-{take}",
                "path": f"{speaker}-{label}-{take}.wav",
                "speaker": speaker,
                "label": label,
            }
            for speaker in "abcdefghijkl"
            for label, takes in clips.items()
            for take in range(takes)
        ],
        corpus="planted",
        labels=tuple(clips),
    )


def test_a_larger_subset_holds_the_smaller_and_has_as_many_clips_of_each_class(table: pl.DataFrame) -> None:
    protocol = ut.protocol("group-3", table)
    assert largest(protocol, table, "clips", range(3)) == 8  # two calm clips of each of four speakers
    label = dict(zip(table["id"], table["label"].cast(pl.String), strict=True))
    for number, fold in enumerate(protocol.folds):
        before: set[str] = set()
        for n in (1, 3, 8):
            found = subset(protocol, table, number, by="clips", n=n, draw=2)
            assert Counter(label[i] for i in found.train) == {"angry": n, "happy": n, "calm": n}
            assert before < set(found.train) <= set(fold.train) and found.test == fold.test
            before = set(found.train)


def test_speakers_are_drawn_whole_nested_and_never_of_the_test(table: pl.DataFrame) -> None:
    protocol = ut.protocol("group-3", table)
    speaker = dict(table.select("id", "speaker").iter_rows())
    assert largest(protocol, table, "speakers", range(3)) == 4
    for number, fold in enumerate(protocol.folds):
        tested = {speaker[i] for i in fold.test}
        before: set[str] = set()
        for n in (1, 2, 4):
            found = subset(protocol, table, number, by="speakers", n=n, draw=0)
            drawn = {speaker[i] for i in found.train}
            assert len(drawn) == n and before < drawn and not drawn & tested
            assert len(found.train) == 10 * n  # every clip of whom was drawn
            before = drawn
        assert with_fold(protocol, number, found).folds[number] == found


def test_draws_differ_and_a_draw_is_the_same_whenever_it_is_made(table: pl.DataFrame) -> None:
    protocol = ut.protocol("group-3", table)
    several = [subset(protocol, table, 0, by="clips", n=2, draw=draw).train for draw in range(5)]
    assert len(set(several)) > 1
    again = table.sample(fraction=1, shuffle=True, seed=3)  # the order of the rows decides nothing
    assert several == [subset(protocol, again, 0, by="clips", n=2, draw=draw).train for draw in range(5)]


def test_numbers_that_a_fold_lacks_and_speakers_without_a_class_are_refused(table: pl.DataFrame) -> None:
    protocol = ut.protocol("group-3", table)
    with pytest.raises(UsageError, match="has 8 clips of the class calm; a size is a number from 1 to that"):
        subset(protocol, table, 0, by="clips", n=9, draw=0)
    calm = pl.col("label") == "calm"
    some = table.filter(~calm | pl.col("speaker").is_in(list("abcdef")))
    protocol = ut.protocol("group-3", some)
    with pytest.raises(ProtocolError, match="have no clip of calm; take larger numbers of speakers"):
        for draw in range(20):
            subset(protocol, some, 0, by="speakers", n=1, draw=draw)


def test_usual_sizes_end_at_the_largest_number() -> None:
    assert usual_sizes(64, "clips") == [4, 8, 16, 32, 64]
    assert usual_sizes(1000, "clips") == [31, 62, 125, 250, 500, 1000]
    assert usual_sizes(16, "speakers") == [2, 4, 8, 16]
    assert usual_sizes(3, "clips") == [3]
