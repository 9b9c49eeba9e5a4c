"""A speaker or a text that gives the label away is reported; a balanced corpus never is."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unheard.auditing.label_leakage import check_label_leakage, label_tie
from unheard.protocols.fold import fold, guarded


def test_accuracy_by_hand():
    # x: 3 a, 1 b. Leaving one out: each a sees (2 a, 1 b) and guesses a; the b sees 3 a and guesses a. y: b, b.
    tie = label_tie(np.array(list("xxxxyy")), np.array(list("aaabbb")))
    assert tie.accuracy == pytest.approx(5 / 6)
    assert tie.reference >= 0.5


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=3, max_size=40))
def test_accuracy_agrees_with_counting_one_by_one(pairs):
    groups, labels = (np.array(v) for v in zip(*pairs, strict=True))
    if len(set(labels)) < 2:
        return
    overall = Counter(labels.tolist())
    names = sorted(overall)
    right = 0
    for k in range(len(pairs)):
        others = Counter(labels[j] for j in range(len(pairs)) if j != k and groups[j] == groups[k])
        best = max(names, key=lambda c: (others[c], overall[c], -names.index(c)))
        right += best == labels[k]
    assert label_tie(groups, labels).accuracy == pytest.approx(right / len(pairs))


@settings(max_examples=20, deadline=None)
@given(speakers=st.integers(2, 8), classes=st.integers(2, 6), takes=st.integers(1, 4))
def test_a_balanced_corpus_is_not_reported(speakers, classes, takes):
    groups = np.repeat(np.arange(speakers), classes * takes)
    labels = np.tile(np.repeat(np.arange(classes), takes), speakers)
    assert not label_tie(groups, labels).shown


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), speakers=st.integers(2, 20), clips=st.integers(60, 200))
def test_labels_by_chance_are_hardly_ever_reported_and_never_strong(seed, speakers, clips):
    dice = np.random.default_rng(seed)
    tie = label_tie(dice.integers(0, speakers, clips), dice.integers(0, 4, clips))
    assert tie.strength < 0.5


def test_false_alarms_by_chance_are_rare():
    dice = np.random.default_rng(1)
    shown = sum(label_tie(dice.integers(0, 10, 100), dice.integers(0, 4, 100)).shown for _ in range(100))
    assert shown <= 3


@settings(max_examples=20, deadline=None)
@given(classes=st.integers(2, 5), each=st.integers(2, 6), order=st.randoms())
def test_one_label_a_speaker_is_a_tie_of_one_in_any_order(classes, each, order):
    labels = [k % classes for k in range(2 * classes) for _ in range(each)]
    groups = [k for k in range(2 * classes) for _ in range(each)]
    tie = label_tie(np.array(groups), np.array(labels))
    assert tie.strength == pytest.approx(1)
    mixed = list(range(len(labels)))
    order.shuffle(mixed)
    assert label_tie(np.array(groups)[mixed], np.array(labels)[mixed]) == tie


def tied(column, value=lambda k: f"v{k // 5}"):
    """40 clips of 8 values with one label each; what is not the column is balanced."""
    rows = []
    for k in range(40):
        row = {"speaker": f"s{k % 5}", "sentence": f"t{k % 5}", "label": "ab"[k // 5 % 2]}
        rows.append({**row, column: value(k)})
    return rows


def codes(findings):
    return {f.code: f for f in findings}


def test_planted_speaker_is_an_error_alone_and_where_nothing_keeps_speakers_apart(rows_table):
    table = rows_table(tied("speaker"))
    found = codes(check_label_leakage(table, None))
    assert set(found) == {"SPEAKER_GIVES_LABEL"}
    assert found["SPEAKER_GIVES_LABEL"].severity == "error"
    assert found["SPEAKER_GIVES_LABEL"].count == 8
    assert "v0: a in 5 of 5 clips" in found["SPEAKER_GIVES_LABEL"].examples
    ids = table["id"].to_list()
    leaky = guarded("l", table, [fold(ids[::2], [], ids[1::2])], leaky=True)
    assert codes(check_label_leakage(table, leaky))["SPEAKER_GIVES_LABEL"].severity == "error"
    apart = guarded("s", table, [fold(ids[:20], [], ids[20:])])
    assert codes(check_label_leakage(table, apart))["SPEAKER_GIVES_LABEL"].severity == "warning"


@pytest.mark.parametrize("column", ["sentence", "text"])
def test_planted_text_is_found_by_sentence_or_by_wording(rows_table, column):
    rows = tied("sentence", lambda k: f"v{k // 5}" if column == "sentence" else None)
    if column == "text":
        rows = [{**row, "text": f" Words {k // 5}" + " " * (k % 2)} for k, row in enumerate(rows)]
    found = codes(check_label_leakage(rows_table(rows), None))
    assert set(found) == {"TEXT_GIVES_LABEL"}
    assert found["TEXT_GIVES_LABEL"].severity == "error"


def test_texts_that_nobody_repeats_give_nothing_away(rows_table):
    assert check_label_leakage(rows_table(tied("sentence", lambda k: f"unique {k}")), None) == []


def test_clips_without_label_or_speaker_do_not_disturb(rows_table):
    rows = [*tied("speaker"), {"speaker": None, "label": "a"}, {"speaker": "v0", "label": None}]
    table = rows_table(rows)
    protocol = guarded("u", table.head(41), [fold(table["id"][:20], [], table["id"][20:41])], unverified=True)
    assert codes(check_label_leakage(table, protocol))["SPEAKER_GIVES_LABEL"].count == 8
