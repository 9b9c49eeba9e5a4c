from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from unheard.comparison.paired import (
    bootstrap,
    corrected_t,
    holm,
    mcnemar,
    sign_flip,
    smallest_shown,
)
from unheard.errors import UsageError

eighths = st.integers(-8, 8).map(lambda k: k / 8)


def brute(d: list[float]) -> float:
    sums = [
        abs(sum(s * x for s, x in zip(signs, d, strict=True))) for signs in product((1, -1), repeat=len(d))
    ]
    return float(np.mean([value >= abs(sum(d)) - 1e-12 for value in sums]))


@given(st.lists(eighths, min_size=1, max_size=9))
def test_sign_flip_is_the_count_over_all_patterns(d: list[float]) -> None:
    assert sign_flip(np.array(d)) == pytest.approx(brute(d))


def test_sign_flip_agrees_with_scipy() -> None:
    d = np.random.default_rng(0).normal(0.3, 1, 12)
    other = stats.permutation_test(
        (d,),
        lambda x, axis: x.mean(axis=axis),
        permutation_type="samples",
        n_resamples=np.inf,
        vectorized=True,
    )
    assert sign_flip(d) == pytest.approx(other.pvalue)


@given(st.lists(st.floats(-1, 1, width=16), min_size=2, max_size=10), st.randoms())
@settings(max_examples=50)
def test_sign_flip_knows_no_order_and_no_direction(d: list[float], random: object) -> None:
    shuffled = d.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    p = sign_flip(np.array(d))
    assert sign_flip(np.array(shuffled)) == p
    assert sign_flip(-np.array(d)) == p
    assert 2 / 2 ** len(d) <= p <= 1


def test_equal_sums_count_as_equal() -> None:
    # 0.1 + 0.2 - 0.3 is not 0 in floating point, but every pattern reaches that sum.
    d = np.array([0.1, 0.2, 0.3])
    assert sign_flip(d) == 2 / 8
    assert sign_flip(np.array([0.1, 0.2, -0.3])) == 1.0
    assert sign_flip(np.array([0.1, 0.1, 0.1, -0.1])) == pytest.approx(brute([1, 1, 1, -1]))


def test_no_difference_gives_one() -> None:
    assert sign_flip(np.zeros(24)) == 1.0
    assert sign_flip(np.zeros(2000)) == 1.0


def test_beyond_sixteen_units_patterns_are_drawn() -> None:
    d = np.random.default_rng(1).normal(0.35, 1, 17)
    # All 2^17, by halves: a pattern and its opposite give the same absolute sum.
    sums = np.zeros(1)
    for x in d[1:]:
        sums = np.concatenate([sums + x, sums - x])
    exact = np.mean(np.abs(sums + d[0]) >= abs(d.sum()) - 1e-12)
    p = sign_flip(d)
    assert p == pytest.approx(exact, abs=4 * np.sqrt(exact / 100_000))
    assert p == sign_flip(d)
    assert p != sign_flip(d, seed=1)
    assert (p * 100_001) == pytest.approx(round(p * 100_001))
    # It can never be 0.
    assert sign_flip(np.ones(40)) == pytest.approx(1 / 100_001)


def test_thousands_of_units_lose_nothing_by_leaving_out_zeros() -> None:
    d = np.zeros(3000)
    d[:10] = [1, 1, 1, 1, 1, 1, 1, 1, -1, -1]
    assert sign_flip(d) == brute([1, 1, 1, 1, 1, 1, 1, 1, -1, -1])


@pytest.mark.parametrize("units", [8, 24])
def test_p_is_uniform_where_nothing_differs(units: int) -> None:
    rng = np.random.default_rng(2)
    runs = 2000 if units <= 16 else 60
    p = np.array([sign_flip(rng.standard_t(3, units) * 0.1) for _ in range(runs)])
    assert stats.kstest(p, "uniform").pvalue > 0.01
    # Never more often below a level than the level says.
    for level in (0.05, 0.2):
        assert np.mean(p <= level) < level + 3 * np.sqrt(level * (1 - level) / runs)


def test_bootstrap_is_near_the_normal_interval_and_covers() -> None:
    rng = np.random.default_rng(3)
    d = rng.normal(0.1, 0.2, 60)
    low, high = bootstrap(d, 20_000)
    half = 1.96 * d.std() / np.sqrt(60)
    assert (low, high) == pytest.approx((d.mean() - half, d.mean() + half), abs=0.1 * half)
    ends = [bootstrap(rng.normal(0.1, 0.2, 24), 400) for _ in range(300)]
    assert 0.89 <= np.mean([a <= 0.1 <= b for a, b in ends]) <= 0.97
    assert bootstrap(np.ones(3)) is None


@given(st.integers(0, 10_000), st.integers(3, 18), st.sampled_from([0.05, 0.05 / 3]))
@settings(max_examples=60, deadline=None)
def test_what_exceeds_the_smallest_difference_is_shown_and_nothing_else(
    seed: int, units: int, level: float
) -> None:
    rng = np.random.default_rng(seed)
    d = rng.normal(rng.choice([-1, 0, 1]) * 0.5, 0.5, units)
    interval = bootstrap(d, 500) or (-1.0, 1.0)
    smallest = smallest_shown(d, interval, level)
    shown = sign_flip(d) < level and (interval[0] > 0 or interval[1] < 0) and units >= 6
    if smallest is None:
        assert not shown
        assert units < 6 or 2 / 2**units >= level
    else:
        assume(abs(abs(d.mean()) - smallest) > 1e-9)
        assert (abs(d.mean()) > smallest) == shown


def test_smallest_difference_by_search() -> None:
    d = np.random.default_rng(5).normal(0.02, 0.1, 10)
    interval = bootstrap(d, 1000)
    smallest = smallest_shown(d, interval)

    def shown(delta: float) -> bool:
        return brute((d - d.mean() + delta).tolist()) < 0.05 and delta > d.mean() - interval[0]

    assert not shown(smallest - 1e-6)
    assert shown(smallest + 1e-6)
    # Twice the scatter needs twice the difference; more speakers of the same scatter need less.
    wide = 2 * interval[0], 2 * interval[1]
    assert smallest_shown(2 * d, wide) == pytest.approx(2 * smallest)
    more = np.tile(d, 2)
    assert smallest_shown(more, bootstrap(more, 1000)) < smallest


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_the_step_down_procedure(p: list[float]) -> None:
    adjusted = holm(p)
    for level in (0.01, 0.05, 0.3):
        rejected = []
        for rank, i in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
            if p[i] > level / (len(p) - rank):
                break
            rejected.append(i)
        near = any(abs(a - level) < 1e-12 for a in adjusted)
        assert near or sorted(rejected) == [i for i, a in enumerate(adjusted) if a <= level]
    assert all(q <= a <= 1 for q, a in zip(p, adjusted, strict=True))


def test_corrected_t_against_its_formula() -> None:
    d = np.array([0.02, 0.05, -0.01, 0.04, 0.03, 0.00])
    # Without overlap of training parts it is Student's t.
    plain = stats.ttest_1samp(d, 0)
    assert corrected_t(d, 0.0) == pytest.approx((plain.statistic, plain.pvalue))
    t, p = corrected_t(d, 1 / 5)
    assert t == pytest.approx(plain.statistic * np.sqrt((1 / 6) / (1 / 6 + 1 / 5)))
    assert p == pytest.approx(2 * stats.t.sf(t, 5))
    assert corrected_t(np.zeros(4), 0.2) == (0.0, 1.0)
    assert corrected_t(np.full(4, -0.1), 0.2) == (-np.inf, 0.0)
    with pytest.raises(UsageError, match="two folds at least, found 1"):
        corrected_t(np.array([0.1]), 0.2)


@pytest.mark.parametrize(("a", "b"), [(0, 0), (5, 5), (10, 2), (2, 10), (0, 7), (400, 350)])
def test_mcnemar_is_the_exact_binomial_test(a: int, b: int) -> None:
    expected = stats.binomtest(a, a + b).pvalue if a + b else 1.0
    assert mcnemar(a, b) == pytest.approx(expected)
