from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from unheard.decide.calibration import apply_temperature, fit_temperature
from unheard.errors import DataError, UsageError


def nll(z: np.ndarray, y: np.ndarray, t: float) -> float:
    return float(-log_softmax(z / t, axis=1)[np.arange(len(y)), y].mean())


def draw(seed: int, n: int = 200, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits ``scale`` times those that the labels were drawn from."""
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 2, (n, 4))
    y = np.array([rng.choice(4, p=softmax(row)) for row in z])
    return scale * z, y


@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.5, 1.0, 2.0]), st.floats(0.2, 8))
@settings(max_examples=60, deadline=None)
def test_is_the_minimum_that_scipy_finds(seed: int, floor: float, scale: float) -> None:
    z, y = draw(seed, n=80, scale=scale)
    low = max(floor, 0.01)
    other = minimize_scalar(
        lambda u: nll(z, y, np.exp(u)),
        bounds=(np.log(low), np.log(100)),
        method="bounded",
        options={"xatol": 1e-9},
    )
    t = fit_temperature(z, y, floor)
    assert low <= t <= 100
    assert nll(z, y, t) <= other.fun + 1e-9
    assert t == pytest.approx(np.exp(other.x), rel=1e-3)


def test_finds_the_temperature_that_made_the_logits() -> None:
    z, y = draw(0, n=20_000, scale=3.0)
    assert fit_temperature(z, y) == pytest.approx(3.0, rel=0.03)


def test_it_may_only_soften_unless_free() -> None:
    z, y = draw(1, n=2000, scale=0.4)
    assert fit_temperature(z, y) == 1.0
    assert fit_temperature(z, y, floor=0.0) == pytest.approx(0.4, rel=0.1)


def test_extremes_stop_at_the_bounds() -> None:
    z = np.eye(3) * 5
    assert fit_temperature(z, np.array([0, 1, 2]), floor=0.0) == 0.01  # all right: as cold as allowed
    assert fit_temperature(z, np.array([1, 2, 0])) == 100.0  # all wrong: as hot as allowed
    assert fit_temperature(1e6 * z, np.array([0, 1, 2])) == 1.0


def test_logits_that_say_nothing_keep_temperature_one() -> None:
    z = np.full((5, 3), 2.0)
    y = np.array([0, 1, 2, 0, 1])
    assert fit_temperature(z, y, floor=0.0) == 1.0
    assert fit_temperature(z, y, floor=2.0) == 2.0


def test_a_shift_of_a_clips_logits_changes_nothing() -> None:
    z, y = draw(2, scale=2.0)
    shift = np.random.default_rng(0).normal(0, 50, (len(z), 1))
    assert fit_temperature(z + shift, y) == pytest.approx(fit_temperature(z, y), rel=1e-6)


def test_rows_without_answer_are_left_out() -> None:
    z, y = draw(3, scale=2.0)
    more = np.vstack([z, np.full((4, 4), np.nan)])
    assert fit_temperature(more, np.r_[y, [0, 1, 2, 3]]) == fit_temperature(z, y)


@given(st.integers(0, 1000), st.floats(0.1, 20))
@settings(max_examples=50)
def test_applying_keeps_the_order_and_sums_to_one(seed: int, t: float) -> None:
    z, _ = draw(seed, n=10, scale=30.0)
    p = apply_temperature(z, t)
    assert np.allclose(p, softmax(z / t, axis=1))
    assert np.allclose(p.sum(axis=1), 1)
    assert (p.argmax(axis=1) == z.argmax(axis=1)).all()


def test_applying_to_one_clip_to_many_and_to_none() -> None:
    z = np.array([1.0, 2.0, 0.0])
    assert np.allclose(apply_temperature(z, 2.0), apply_temperature(z[None, None], 2.0)[0, 0])
    assert np.isnan(apply_temperature(np.full((1, 3), np.nan), 2.0)).all()


@pytest.mark.parametrize(
    ("z", "y", "floor", "error", "says"),
    [
        (np.zeros((0, 3)), np.zeros(0, int), 1.0, DataError, "none with a prediction"),
        (np.full((2, 3), np.nan), np.zeros(2, int), 1.0, DataError, "none with a prediction"),
        (np.array([[0.0, np.inf]]), np.zeros(1, int), 1.0, DataError, "infinite"),
        (np.zeros((2, 3)), np.zeros(3, int), 1.0, DataError, "found"),
        (np.zeros((1, 3)), np.array([3]), 1.0, DataError, "labels must be 0 … 2, found 3"),
        (np.zeros((1, 3)), np.array([0]), -1.0, UsageError, "floor"),
    ],
)
def test_refuses_what_cannot_be_fitted(
    z: np.ndarray, y: np.ndarray, floor: float, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        fit_temperature(z, y, floor)


def test_a_temperature_of_zero_is_refused() -> None:
    with pytest.raises(UsageError, match="above 0, found 0"):
        apply_temperature(np.zeros(3), 0.0)


def test_it_needs_numpy_alone() -> None:
    code = (
        "import sys, unheard.decide.calibration as c, numpy as np;"
        "c.fit_temperature(np.eye(3), np.arange(3));"
        "print(sorted({'polars', 'scipy', 'sklearn', 'torch', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
