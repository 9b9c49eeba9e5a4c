"""Late fusion: hand-computed cases, and what must hold whatever the systems answered."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from unheard.decide.calibration import fit_temperature
from unheard.decide.late_fusion import (
    MAX_SYSTEMS,
    Fusion,
    equal_weights,
    fit_fusion,
    fuse,
    strongest_first,
    weighted_mean,
)
from unheard.errors import DataError, UsageError


def draw(seed: int, systems: int, n: int = 60, classes: int = 4) -> tuple[list[np.ndarray], np.ndarray]:
    """Logits of systems that know something of the truth, each in its own measure."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    skills = rng.uniform(0, 2, systems)
    return [
        rng.normal(0, 1, (n, classes)) * rng.uniform(1, 4) + s * 2 * np.eye(classes)[y] for s in skills
    ], y


def right(p: np.ndarray, y: np.ndarray) -> int:
    silent = np.isnan(p).any(axis=1)
    return int(((np.nan_to_num(p, nan=-1).argmax(axis=1) == y) & ~silent).sum())


def test_by_hand() -> None:
    # exp of 0 and log 3: the probabilities are 1/4 and 3/4; at temperature 2 they are 1 and sqrt 3 over their sum.
    a, b = np.log([[1.0, 3.0]]), np.log([[3.0, 1.0]])
    p = fuse([a, b], Fusion((1.0, 2.0), (0.25, 0.75)))
    warm = np.sqrt(3) / (1 + np.sqrt(3))
    np.testing.assert_allclose(p, [[0.25 * 0.25 + 0.75 * warm, 0.25 * 0.75 + 0.75 * (1 - warm)]], rtol=1e-14)


def test_two_systems_that_know_different_clips_are_both_heard() -> None:
    # A is sure where it is right (clips 0 and 1) and leans to the wrong class elsewhere; B the other way round.
    p_a = np.array([[0.95, 0.05], [0.05, 0.95], [0.4, 0.6], [0.6, 0.4]])
    p_b = np.array([[0.4, 0.6], [0.6, 0.4], [0.95, 0.05], [0.05, 0.95]])
    y = np.array([0, 1, 0, 1])
    found = fit_fusion([np.log(p_a), np.log(p_b)], y)
    assert found.weights == (
        0.5,
        0.5,
    )  # all four right from 0.2 to 0.8; of these the middle has the smallest NLL
    assert right(fuse([np.log(p_a), np.log(p_b)], found), y) == 4


def test_ties_go_to_the_system_that_is_stronger_alone() -> None:
    # At every weight above 0.5 for A accuracy is A's; equal systems but for one clip that only A answers.
    z = np.log(np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]]))
    y = np.array([0, 1, 0])
    fewer = z.copy()
    fewer[2] = np.nan
    # Whatever weight A has above 0, the fused probabilities are the same: only the strength decides.
    assert fit_fusion([z, fewer], y).weights == (1.0, 0.0)
    assert fit_fusion([fewer, z], y).weights == (0.0, 1.0)


@given(st.integers(0, 10_000), st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_on_its_own_rows_it_is_never_worse_than_its_best_member(seed: int, systems: int) -> None:
    z, y = draw(seed, systems, n=40)
    if systems > 1:
        z[0][:3] = np.nan
    found = fit_fusion(z, y)
    assert sum(found.weights) == pytest.approx(1, abs=1e-12)
    assert min(found.weights) >= 0
    assert found.temperatures == tuple(fit_temperature(each, y) for each in z)
    members = [softmax(each / t, axis=1) for each, t in zip(z, found.temperatures, strict=True)]
    assert right(fuse(z, found), y) >= max(right(member, y) for member in members)


@pytest.mark.parametrize("seed", range(5))
def test_the_grid_of_two_is_searched_whole(seed: int) -> None:
    z, y = draw(seed, 2)
    found = fit_fusion(z, y)
    a, b = (softmax(each / t, axis=1) for each, t in zip(z, found.temperatures, strict=True))

    def score(w: float) -> tuple[int, float]:
        p = w * a + (1 - w) * b
        return right(p, y), float(np.log(p[np.arange(len(y)), y]).mean())

    best = max(score(w) for w in np.linspace(0, 1, 21))
    assert score(found.weights[0]) == pytest.approx(best)


@pytest.mark.parametrize("seed", range(3))
def test_three_are_refined_beyond_the_coarse_grid_and_never_below_it(seed: int) -> None:
    z, y = draw(seed, 3)
    found = fit_fusion(z, y)
    assert all(abs(w * 20 - round(w * 20)) < 1e-9 for w in found.weights)
    members = [softmax(each / t, axis=1) for each, t in zip(z, found.temperatures, strict=True)]

    def score(weights: tuple[float, ...]) -> tuple[int, float]:
        p = sum(w * m for w, m in zip(weights, members, strict=True))
        return right(p, y), round(float(np.log(p[np.arange(len(y)), y]).mean()), 9)

    coarse = [(i / 10, j / 10, (10 - i - j) / 10) for i in range(11) for j in range(11 - i)]
    assert score(found.weights) >= max(score(w) for w in coarse)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("systems", [2, 3])
def test_the_order_of_systems_changes_nothing(seed: int, systems: int) -> None:
    z, y = draw(seed, systems)
    z[1][4] = np.nan
    other, _ = draw(seed + 50, systems)
    found = fit_fusion(z, y)
    fused = fuse(other, found)
    for order in permutations(range(systems)):
        again = fit_fusion([z[m] for m in order], y)
        assert again.weights == tuple(found.weights[m] for m in order)
        assert again.temperatures == tuple(found.temperatures[m] for m in order)
        assert np.array_equal(fuse([other[m] for m in order], again), fused)


def test_weight_one_is_the_single_system_to_the_last_digit() -> None:
    z, _ = draw(0, 3)
    z[0][5], z[1][7] = np.nan, np.nan
    temperatures = (1.3, 2.0, 1.7)
    for m in range(3):
        weights = tuple(float(k == m) for k in range(3))
        alone = fuse([z[m]], Fusion((temperatures[m],), (1.0,)))
        assert np.array_equal(fuse(z, Fusion(temperatures, weights)), alone, equal_nan=True)


def test_without_an_answer_of_one_the_others_answer() -> None:
    a = np.array([[0.5, 0.5], [np.nan, np.nan], [np.nan, np.nan]])
    b = np.array([[0.7, 0.3], [0.7, 0.3], [np.nan, np.nan]])
    c = np.array([[0.2, 0.8], [0.2, 0.8], [np.nan, np.nan]])
    p = weighted_mean([a, b, c], (0.5, 0.3, 0.2))
    np.testing.assert_allclose(p[0], 0.5 * a[0] + 0.3 * b[0] + 0.2 * c[0])
    np.testing.assert_allclose(p[1], (0.3 * b[1] + 0.2 * c[1]) / 0.5)
    assert np.isnan(p[2]).all()


def test_a_member_that_nobody_weights_does_not_answer_for_the_others() -> None:
    a, b = np.array([[np.nan, np.nan]]), np.array([[0.7, 0.3]])
    assert np.isnan(weighted_mean([a, b], (1.0, 0.0))).all()


def test_equal_weights_are_the_plain_mean() -> None:
    members = [softmax(z, axis=1) for z in draw(0, 3)[0]]
    np.testing.assert_allclose(weighted_mean(members, equal_weights(3)), np.mean(members, axis=0), rtol=1e-14)


def test_the_strongest_is_the_most_accurate_then_the_likeliest() -> None:
    y = np.array([0, 1])
    weak, sure, unsure = ([[0.9, 0.1], [0.9, 0.1]], [[0.8, 0.2], [0.1, 0.9]], [[0.6, 0.4], [0.4, 0.6]])
    assert strongest_first([np.array(p) for p in (weak, unsure, sure)], y) == [2, 1, 0]


@pytest.mark.parametrize(
    ("members", "weights", "error", "said"),
    [
        ([np.ones((2, 3)), np.ones((2, 4))], (0.5, 0.5), DataError, r"\(2, 3\), \(2, 4\)"),
        ([], (), DataError, "found none"),
        ([np.ones((2, 3))] * 2, (0.5, 0.6), UsageError, "sum to 1"),
        ([np.ones((2, 3))] * 2, (1.5, -0.5), UsageError, "0 or more"),
        ([np.ones((2, 3))] * 2, (1.0,), UsageError, "expected 2 weights"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(
    members: list[np.ndarray], weights: tuple[float, ...], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        weighted_mean(members, weights)


def test_too_many_systems_and_too_few_are_refused() -> None:
    z, y = draw(0, 1)
    for count in (0, MAX_SYSTEMS + 1):
        with pytest.raises(UsageError, match=f"found {count}"):
            fit_fusion(z * count, y)
    with pytest.raises(UsageError, match="of 2 systems was given 1"):
        fuse(z, Fusion((1.0, 1.0), (0.5, 0.5)))


def test_a_system_without_any_answer_is_refused() -> None:
    z, y = draw(0, 2)
    with pytest.raises(DataError, match="none with a prediction"):
        fit_fusion([z[0], np.full_like(z[1], np.nan)], y)
