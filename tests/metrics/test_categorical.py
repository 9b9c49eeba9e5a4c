from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from unheard.errors import DataError
from unheard.metrics.categorical import accuracy, confusion, macro_f1, per_class, uar, weighted_f1

answered = st.integers(2, 5).flatmap(
    lambda c: st.tuples(
        st.just(c),
        st.lists(st.tuples(st.integers(0, c - 1), st.integers(-1, c - 1)), min_size=1, max_size=40),
    )
)


@given(answered)
def test_every_score_agrees_with_scikit_learn(case: tuple[int, list[tuple[int, int]]]) -> None:
    classes, pairs = case
    t, a = np.array(pairs).T
    counts = confusion(t, a, classes)
    # To scikit-learn, no prediction (-1) is one more class that is never averaged over.
    spoken = sorted(set(t))
    seen = sorted((set(t) | set(a)) - {-1})
    assert np.isclose(accuracy(counts), sk.accuracy_score(t, a))
    assert np.isclose(uar(counts), sk.recall_score(t, a, labels=spoken, average="macro", zero_division=0))
    assert np.isclose(macro_f1(counts), sk.f1_score(t, a, labels=seen, average="macro", zero_division=0))
    assert np.isclose(
        weighted_f1(counts), sk.f1_score(t, a, labels=spoken, average="weighted", zero_division=0)
    )
    one = per_class(counts)
    p, r, f, n = sk.precision_recall_fscore_support(t, a, labels=range(classes), zero_division=0)
    assert np.allclose(one.precision, p)
    assert np.allclose(one.f1, f)
    assert np.array_equal(one.support, n)
    assert np.allclose(one.recall[n > 0], r[n > 0])
    assert np.isnan(one.recall[n == 0]).all()


def test_by_hand() -> None:
    # Truth: 4 of class 0 (3 right, 1 called 1), 2 of class 1 (1 right, 1 without a prediction), none of class 2.
    counts = confusion([0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, -1], 3)
    assert counts.tolist() == [[3, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 0]]
    assert accuracy(counts) == pytest.approx(4 / 6)
    assert uar(counts) == pytest.approx((3 / 4 + 1 / 2) / 2)
    f_0, f_1 = 2 * 3 / (4 + 3), 2 * 1 / (2 + 2)
    assert macro_f1(counts) == pytest.approx((f_0 + f_1) / 2)
    assert weighted_f1(counts) == pytest.approx((4 * f_0 + 2 * f_1) / 6)


def test_a_class_only_answered_lowers_macro_f1_but_not_uar() -> None:
    counts = confusion([0, 0], [0, 1], 3)
    assert uar(counts) == pytest.approx(0.5)
    assert macro_f1(counts) == pytest.approx((2 / 3 + 0) / 2)


def test_no_answer_is_an_error_but_no_answer_of_any_class() -> None:
    counts = confusion([0, 1], [-1, 1], 2)
    assert accuracy(counts) == 0.5
    assert per_class(counts).precision.tolist() == [0.0, 1.0]


def test_leading_axes_are_a_loop() -> None:
    counts = np.random.default_rng(0).integers(0, 5, (4, 3, 3, 4)).astype(float)
    counts[0, 0] = 0
    for score in (accuracy, uar, macro_f1, weighted_f1):
        whole = score(counts)
        assert whole.shape == (4, 3)
        assert np.isnan(whole[0, 0])
        each = [[float(score(counts[i, j])) for j in range(3)] for i in range(4)]
        np.testing.assert_array_equal(whole, each)
    assert per_class(counts).f1.shape == (4, 3, 3)


@pytest.mark.parametrize(
    ("true", "predicted", "says"),
    [
        ([0, 3], [0, 0], "truth holds 3; 3 classes are numbered 0 … 2"),
        ([0, -1], [0, 0], "truth holds -1"),
        ([0, 1], [0, 7], r"predicted holds 7.*-1: no prediction"),
        ([0, 1], [0], "one length"),
    ],
)
def test_refuses_what_is_no_class(true: list[int], predicted: list[int], says: str) -> None:
    with pytest.raises(DataError, match=says):
        confusion(true, predicted, 3)
