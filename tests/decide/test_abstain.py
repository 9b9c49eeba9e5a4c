"""Thresholds, the curve and its area: by hand, against a loop over all thresholds, and invariances."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from unheard.decide.abstain import aurc, risk_coverage, threshold_for
from unheard.errors import DataError, UsageError

#: Confidences .9 .8 .6 .6; right, wrong, right, wrong.
BY_HAND = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.4, 0.6]])
TRUTH = np.array([0, 0, 0, 0])


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(200, 5)) * 2
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    p[::20] = p[5]  # of one confidence
    return p, np.where(rng.random(200) < p.max(axis=1), p.argmax(axis=1), rng.integers(0, 5, 200))


@pytest.mark.parametrize(
    ("coverage", "threshold"), [(1.0, 0.0), (0.9, 0.6), (0.75, 0.6), (0.5, 0.8), (0.25, 0.9), (0.01, 0.9)]
)
def test_threshold_by_hand(coverage: float, threshold: float) -> None:
    assert threshold_for(BY_HAND, coverage) == threshold


@pytest.mark.parametrize("coverage", [0.05, 0.3, 0.7, 0.9, 0.995])
def test_the_threshold_is_the_largest_that_reaches_the_coverage(rows, coverage: float) -> None:  # type: ignore[no-untyped-def]
    sure = rows[0].max(axis=1)
    t = threshold_for(rows[0], coverage)
    assert (sure >= t).mean() >= coverage
    assert (sure > t).mean() < coverage


def test_tenths_of_ten_rows_are_whole_rows() -> None:
    p = np.linspace(0.55, 1, 10)
    p = np.stack([p, 1 - p], axis=1)
    for k in range(1, 10):
        assert (p.max(axis=1) >= threshold_for(p, k / 10)).sum() == k


def test_curve_and_area_by_hand() -> None:
    curve = risk_coverage(BY_HAND, TRUTH)
    assert_allclose(curve.threshold, [0.9, 0.8, 0.6])
    assert_allclose(curve.coverage, [0.25, 0.5, 1])
    assert_allclose(curve.risk, [0, 0.5, 0.5])
    # The two of .6 share one error: 0/1, 1/2, 1.5/3, 2/4.
    assert aurc(BY_HAND, TRUTH) == pytest.approx((0 + 1 / 2 + 1.5 / 3 + 2 / 4) / 4)


def test_every_point_is_the_risk_of_its_threshold(rows) -> None:  # type: ignore[no-untyped-def]
    p, y = rows
    sure, wrong = p.max(axis=1), p.argmax(axis=1) != y
    curve = risk_coverage(p, y)
    assert len(curve.risk) == len(set(sure))
    for t, coverage, risk in zip(curve.threshold, curve.coverage, curve.risk, strict=True):
        given = sure >= t
        assert (coverage, risk) == (pytest.approx(given.mean()), pytest.approx(wrong[given].mean()))


def test_the_area_does_not_depend_on_the_order_of_clips(rows) -> None:  # type: ignore[no-untyped-def]
    p, y = rows
    order = np.random.default_rng(1).permutation(len(y))
    assert aurc(p[order], y[order]) == pytest.approx(aurc(p, y))
    assert aurc(p, y) < (p.argmax(axis=1) != y).mean()


def test_equal_confidences_give_the_error_rate() -> None:
    p = np.full((8, 2), [0.7, 0.3])
    assert aurc(p, np.array([0, 1] * 4)) == pytest.approx(0.5)


def test_clips_without_an_answer_are_errors_that_come_last() -> None:
    p = np.vstack([BY_HAND, np.full((1, 2), np.nan)])
    y = np.append(TRUTH, 0)
    assert risk_coverage(p, y).coverage[-1] == pytest.approx(0.8)
    assert aurc(p, y) == pytest.approx((0 + 1 / 2 + 1.5 / 3 + 2 / 4 + 3 / 5) / 5)
    assert threshold_for(p, 0.5) == 0.8
    assert aurc(np.full((3, 2), np.nan), TRUTH[:3]) == 1


def test_what_cannot_be() -> None:
    for coverage in (0, -0.1, 1.01, np.nan):
        with pytest.raises(UsageError, match="coverage"):
            threshold_for(BY_HAND, coverage)
    with pytest.raises(DataError, match="none with a prediction"):
        threshold_for(np.full((3, 2), np.nan), 0.5)
    with pytest.raises(DataError, match=r"\(clips, classes\)"):
        threshold_for(BY_HAND[0], 0.5)
    with pytest.raises(DataError, match="one label a clip"):
        aurc(BY_HAND, TRUTH[:2])
