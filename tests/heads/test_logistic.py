"""The solver behind the probe: the minimum itself, whatever the rows are like."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression

from unheard.heads.linear import logistic

GRID = (1e-4, 1e-2, 1.0, 100.0)


def rows(
    dims: int, classes: int, n: int = 60, spread: float = 1.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(classes), rng.integers(0, classes, n - classes) // 2])
    Z = rng.normal(0, 1, (n, dims)) + spread * rng.normal(0, 1, (classes, dims))[y]
    return (Z - Z.mean(axis=0)) / Z.std(axis=0), y


def objective(Z: np.ndarray, y: np.ndarray, C: float, coef: np.ndarray, intercept: np.ndarray) -> float:
    weight = 1 / (len(coef) * np.bincount(y)[y])
    loss = -log_softmax(Z @ coef.T + intercept, axis=1)[np.arange(len(y)), y]
    return float(weight @ loss + (2 if len(coef) == 2 else 1) * (coef**2).sum() / (2 * C * len(y)))


@pytest.mark.parametrize("spread", [0.0, 3.0, 30.0])
@pytest.mark.parametrize(("dims", "classes"), [(5, 2), (5, 3), (60, 8), (200, 4)])
def test_the_gradient_is_gone_at_every_c(dims: int, classes: int, spread: float) -> None:
    Z, y = rows(dims, classes, spread=spread)
    weight = 1 / (classes * np.bincount(y)[y])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = list(logistic.path(Z, np.eye(y.max() + 1)[y], GRID))
    for C, (coef, intercept) in zip(GRID, found, strict=True):
        off = (softmax(Z @ coef.T + intercept, axis=1) - np.eye(classes)[y]) * weight[:, None]
        penalty = (2 if classes == 2 else 1) / (C * len(y))
        assert np.abs(off.T @ Z + penalty * coef).max() <= 1.01e-8
        assert np.abs(off.sum(axis=0)).max() <= 1.01e-8
        # Nothing that all classes share: it would change no probability.
        assert_allclose(coef.sum(axis=0), 0, atol=1e-9)
        assert_allclose(intercept.sum(), 0, atol=1e-9)


def test_unbalanced_every_row_weighs_the_same() -> None:
    Z, y = rows(5, 3)
    expected = LogisticRegression(C=0.1, tol=1e-10, max_iter=10_000).fit(Z, y)
    # Its objective sums losses, ours takes their mean: C by C times the rows.
    coef, intercept = next(logistic.path(Z, np.eye(3)[y], [0.1], balanced=False))
    assert_allclose(coef, expected.coef_ - expected.coef_.mean(axis=0), atol=1e-5)
    assert_allclose(intercept, expected.intercept_ - expected.intercept_.mean(), atol=1e-5)
    assert np.abs(coef - next(logistic.path(Z, np.eye(3)[y], [0.1]))[0]).max() > 1e-3


def test_no_neighbour_is_lower() -> None:
    Z, y = rows(8, 3)
    rng = np.random.default_rng(1)
    for C, (coef, intercept) in zip(GRID, logistic.path(Z, np.eye(y.max() + 1)[y], GRID), strict=True):
        least = objective(Z, y, C, coef, intercept)
        for size in (1e-3, 1e-1, 1.0):
            for _ in range(20):
                other = coef + size * rng.normal(0, 1, coef.shape), intercept + size * rng.normal(0, 1, 3)
                assert objective(Z, y, C, *other) > least


def test_a_fit_along_the_path_is_the_fit_from_zero() -> None:
    Z, y = rows(100, 5)
    for C, (coef, intercept) in zip(GRID, logistic.path(Z, np.eye(y.max() + 1)[y], GRID), strict=True):
        alone, bias = next(logistic.path(Z, np.eye(y.max() + 1)[y], [C]))
        assert_allclose(coef, alone, atol=1e-4)
        assert_allclose(intercept, bias, atol=1e-4)


def test_constant_columns_get_nothing() -> None:
    Z, y = rows(10, 3)
    Z[:, 4] = 0
    for coef, _ in logistic.path(Z, np.eye(y.max() + 1)[y], GRID):
        assert_allclose(coef[:, 4], 0, atol=1e-9)
    only = list(logistic.path(np.zeros((60, 1)), np.eye(3)[y], GRID))
    for coef, intercept in only:
        assert_allclose(coef, 0)
        assert_allclose(intercept, 0, atol=1e-7)


def test_what_has_not_settled_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logistic, "STEPS", 1)
    with pytest.warns(RuntimeWarning, match=r"has not settled: largest component of its gradient .*1e-08"):
        Z, y = rows(10, 3)
        next(logistic.path(Z, np.eye(3)[y], [1.0]))


@pytest.mark.parametrize("gone", [[1], [0, 3], [0, 1, 3]])
def test_a_class_without_any_share_is_left_out_and_never_the_answer(gone: list[int]) -> None:
    Z, _ = rows(5, 4)
    left = [c for c in range(4) if c not in gone]
    shares = np.zeros((len(Z), 4))
    shares[:, left] = np.random.default_rng(1).dirichlet(np.ones(len(left)), len(Z))
    alone = list(logistic.path(Z, shares[:, left], GRID)) if len(left) > 1 else None
    found = list(logistic.path(Z, shares, GRID))
    assert len(found) == len(GRID)
    for number, (coef, intercept) in enumerate(found):
        scores = Z @ coef.T + intercept
        assert np.isfinite(scores).all() and not coef[gone].any()
        assert set(scores.argmax(axis=1)) <= set(left)
        if alone is not None:
            assert_allclose(coef[left], alone[number][0], atol=1e-7)
            assert_allclose(intercept[left], alone[number][1], atol=1e-7)
