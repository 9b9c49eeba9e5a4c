"""What stands in two parts of a fold is found, with the weight it deserves."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unheard.auditing.splits import check_splits, said_by
from unheard.protocols.fold import fold, guarded


def codes(findings):
    return {f.code: f for f in findings}


def spoken(speakers=4, clips=6, **columns):
    return [
        {"speaker": f"s{s}", "label": "ab"[k % 2], **{c: f(s, k) for c, f in columns.items()}}
        for s in range(speakers)
        for k in range(clips)
    ]


def by_speaker(table, **options):
    of = dict(zip(table["id"], table["speaker"], strict=True))
    folds = [
        fold(
            [i for i in of if of[i] not in (t, v)],
            [i for i in of if of[i] == v],
            [i for i in of if of[i] == t],
        )
        for t, v in (("s0", "s1"), ("s1", "s2"), ("s2", "s3"), ("s3", "s0"))
    ]
    return guarded("one-out", table, folds, **options)


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_planted_speaker_on_two_sides_is_always_found(rows_table, data):
    speakers = data.draw(st.integers(2, 6))
    table = rows_table(spoken(speakers, 4))
    ids = {f"s{s}": table["id"].to_list()[4 * s : 4 * s + 4] for s in range(speakers)}
    side = {s: data.draw(st.sampled_from(["train", "val", "test"])) for s in ids}
    side["s0"], side["s1"] = "train", "test"
    parts = {p: [i for s in ids for i in ids[s] if side[s] == p] for p in ("train", "val", "test")}
    clean = check_splits(table, guarded("clean", table, [fold(**parts)]))
    assert "SPEAKER_ON_TWO_SIDES" not in codes(clean)
    victim = data.draw(st.sampled_from(sorted(ids)))
    away = data.draw(st.sampled_from([p for p in parts if p != side[victim]]))
    clip = data.draw(st.sampled_from(ids[victim]))
    parts[side[victim]].remove(clip)
    parts[away].append(clip)
    found = codes(check_splits(table, guarded("leak", table, [fold(**parts)], disjoint=(), leaky=True)))
    assert found["SPEAKER_ON_TWO_SIDES"].severity == "error"
    assert found["SPEAKER_ON_TWO_SIDES"].count == 1
    assert found["SPEAKER_ON_TWO_SIDES"].examples == (f"{victim} in 1 of 1 folds",)


def test_sentences_that_everyone_says_are_information(rows_table):
    table = rows_table(spoken(sentence=lambda s, k: f"t{k % 3}", text=lambda s, k: f"words {k % 3}"))
    found = codes(check_splits(table, by_speaker(table)))
    assert set(found) == {"SENTENCE_ON_TWO_SIDES"}  # the text says nothing that the sentence does not
    assert found["SENTENCE_ON_TWO_SIDES"].severity == "information"
    assert found["SENTENCE_ON_TWO_SIDES"].count == 3


def test_texts_that_some_share_are_a_warning(rows_table):
    table = rows_table(spoken(text=lambda s, k: "yes" if k == 0 and s < 2 else f"{s} says {k}"))
    found = codes(check_splits(table, by_speaker(table)))
    assert set(found) == {"TEXT_ON_TWO_SIDES"}
    assert found["TEXT_ON_TWO_SIDES"].severity == "warning"
    assert found["TEXT_ON_TWO_SIDES"].examples == ("yes in 3 of 4 folds",)


def test_wording_that_differs_within_a_sentence_is_reported_too(rows_table):
    table = rows_table(spoken(sentence=lambda s, k: f"t{k}", text=lambda s, k: "the same"))
    assert set(codes(check_splits(table, by_speaker(table)))) == {
        "SENTENCE_ON_TWO_SIDES",
        "TEXT_ON_TWO_SIDES",
    }


def test_what_a_leaky_protocol_promises_is_an_error_where_broken(rows_table):
    table = rows_table(spoken(sentence=lambda s, k: f"t{k % 3}"))
    protocol = by_speaker(table, disjoint=("speaker", "sentence"), leaky=True)
    assert codes(check_splits(table, protocol))["SENTENCE_ON_TWO_SIDES"].severity == "error"


@pytest.mark.parametrize("column", ["session", "dialogue"])
def test_a_session_of_two_speakers_is_a_warning(rows_table, column):
    table = rows_table(spoken(**{column: lambda s, k: f"x{s // 2}"}))
    found = codes(check_splits(table, by_speaker(table)))
    assert set(found) == {f"{column.upper()}_ON_TWO_SIDES"}
    assert found[f"{column.upper()}_ON_TWO_SIDES"].severity == "warning"


def test_share_of_speakers_by_hand(rows_table):
    # t0 is said by 2 of 2 speakers in 3 clips, t1 by one in 1: (3 · 1 + 1 · 0.5) / 4.
    rows = [("p", "t0"), ("q", "t0"), ("q", "t0"), ("q", "t1")]
    table = rows_table([{"speaker": s, "sentence": t, "label": "a"} for s, t in rows])
    assert said_by(table, "sentence") == pytest.approx(3.5 / 4)
    assert said_by(table.head(1), "sentence") is None


def test_uneven_folds_and_clips_tested_twice_or_never(rows_table):
    table = rows_table(spoken(3, 6))
    a, b, c = (table["id"].to_list()[6 * s : 6 * s + 6] for s in range(3))
    even = guarded("even", table, [fold(b + c, [], a), fold(a + c, [], b), fold(a + b, [], c)])
    assert check_splits(table, even) == []
    odd = guarded("odd", table, [fold(c, [], a + b), fold(b + c, [], a[:2] + a[4:])])
    found = codes(check_splits(table, odd))
    assert set(found) == {"FOLD_SIZES", "FOLD_COVERAGE"}
    assert found["FOLD_SIZES"].examples == ("fold 0: 12 clips", "fold 1: 4 clips")
    assert found["FOLD_COVERAGE"].count == 10  # four twice, six never
    assert "6 clips never, 8 clips once, 4 clips 2 times" in found["FOLD_COVERAGE"].message


def test_clips_outside_the_protocol_do_not_count(rows_table):
    table = rows_table([*spoken(3, 6), {"speaker": "s9", "label": None}])
    a, b, c = (table["id"].to_list()[6 * s : 6 * s + 6] for s in range(3))
    even = guarded("even", table.head(18), [fold(b + c, [], a), fold(a + c, [], b), fold(a + b, [], c)])
    assert check_splits(table, even) == []
