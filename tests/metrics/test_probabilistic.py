from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from unheard.errors import DataError
from unheard.metrics.probabilistic import brier, ece, nll, reliability


def draw(seed: int, n: int = 300, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(classes, 0.5), n)
    return p, np.array([rng.choice(classes, p=row) for row in p])


def naive_ece(p: np.ndarray, y: np.ndarray, bins: int) -> float:
    total = 0.0
    for b in range(bins):
        inside = [i for i in range(len(y)) if b / bins < p[i].max() <= (b + 1) / bins]
        if inside:
            right = np.mean([p[i].argmax() == y[i] for i in inside])
            total += len(inside) / len(y) * abs(right - np.mean([p[i].max() for i in inside]))
    return float(total)


@given(st.integers(0, 1000), st.integers(1, 25))
def test_against_naive_loops_and_scikit_learn(seed: int, bins: int) -> None:
    p, y = draw(seed, n=40)
    assert nll(p, y) == pytest.approx(log_loss(y, np.clip(p, 1e-12, 1), labels=range(4)), rel=1e-9)
    assert brier(p, y) == pytest.approx(
        np.mean([sum((p[i, c] - (c == y[i])) ** 2 for c in range(4)) for i in range(40)])
    )
    assert ece(p, y, bins) == pytest.approx(naive_ece(p, y, bins), abs=1e-12)


def test_certain_and_wrong_is_clipped() -> None:
    p = np.array([[1.0, 0.0], [1.0, 0.0]])
    assert nll(p, np.array([0, 1])) == pytest.approx(-np.log(1e-12) / 2)
    assert brier(p, np.array([0, 1])) == 1.0
    assert ece(p, np.array([0, 1])) == 0.5


def test_no_answer_counts_as_uniform_and_as_wrong() -> None:
    silent, y = np.full((3, 4), np.nan), np.array([0, 1, 2])
    assert nll(silent, y) == pytest.approx(np.log(4))
    assert brier(silent, y) == pytest.approx(0.75)
    assert ece(silent, y) == pytest.approx(0.25)


def test_calibrated_probabilities_have_little_error_and_sharpened_ones_more() -> None:
    p, y = draw(0, n=40_000)
    sharp = p**3 / (p**3).sum(axis=1, keepdims=True)
    for adaptive in (False, True):
        assert ece(p, y, adaptive=adaptive) < 0.01
        assert ece(sharp, y, adaptive=adaptive) > 0.05
    assert nll(sharp, y) > nll(p, y)
    assert brier(sharp, y) > brier(p, y)


def test_bins_are_closed_above() -> None:
    # 0.6 = 9/15 is the upper end of the ninth bin.
    r = reliability(np.array([[0.6, 0.4]]), np.array([0]))
    assert np.flatnonzero(r.count).tolist() == [8]
    assert r.high[8] == pytest.approx(0.6)


def test_reliability_diagram_by_hand() -> None:
    p = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7]])
    r = reliability(p, np.array([0, 1, 1, 0]), bins=2)
    assert r.count.tolist() == [0, 4]
    assert np.isnan(r.confidence[0])
    assert np.isnan(r.accuracy[0])
    assert r.confidence[1] == pytest.approx(0.75)
    assert r.accuracy[1] == 0.5


def test_adaptive_bins_hold_equal_counts_and_equal_confidences_together() -> None:
    p, y = draw(1, n=100)
    r = reliability(p, y, bins=10, adaptive=True)
    assert r.count.tolist() == [10] * 10
    order = np.argsort(p.max(axis=1))
    naive = sum(
        0.1 * abs(np.mean(p[part].argmax(1) == y[part]) - p[part].max(1).mean())
        for part in np.array_split(order, 10)
    )
    assert ece(p, y, bins=10, adaptive=True) == pytest.approx(naive)
    # Half of the clips are equally sure: any split among them would depend on their order.
    p[:50] = [0.7, 0.1, 0.1, 0.1]
    shuffled = np.random.default_rng(0).permutation(100)
    assert ece(p, y, adaptive=True) == pytest.approx(ece(p[shuffled], y[shuffled], adaptive=True), abs=1e-12)


def test_adaptive_bins_of_few_clips() -> None:
    p = np.array([[0.9, 0.1], [0.6, 0.4]])
    assert ece(p, np.array([0, 1]), adaptive=True) == pytest.approx((0.1 + 0.6) / 2)


@pytest.mark.parametrize(
    ("p", "y", "says"),
    [
        (np.ones((2, 2)) / 2, np.array([0]), "found"),
        (np.ones((0, 2)), np.array([], dtype=int), "one clip at least"),
        (np.ones((1, 2)) / 2, np.array([2]), "labels must be 0 … 1, found 2"),
    ],
)
def test_refuses_what_does_not_fit(p: np.ndarray, y: np.ndarray, says: str) -> None:
    with pytest.raises(DataError, match=says):
        nll(p, y)
