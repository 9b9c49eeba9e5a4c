"""The linear SVM against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.svm import LinearSVC

from one_input import clips_of, examples, outputs_of
from unheard.heads import Examples
from unheard.heads.linear.svm import SVM


def problem(seed: int, dims: int, classes: int = 3, n: int = 80) -> Examples:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    labels[:classes] = np.arange(classes)
    centres = np.random.default_rng(99).normal(0, 1, (classes, dims))
    X = (rng.normal(0, 1, (n, dims)) + centres[labels]) * 3 + 1
    return examples(list(X.astype(np.float32)), labels, np.array([f"s{i % 5}" for i in range(n)]), classes)


@pytest.mark.parametrize("C", [1e-4, 1e-2, 1.0])
@pytest.mark.parametrize("dims", [6, 150])
def test_equals_the_squared_hinge_svm_of_each_class_against_the_rest(dims: int, C: float) -> None:
    train, test = problem(0, dims), problem(1, dims)
    head = SVM(grid=(C,)).fit(train)
    X = (np.stack(clips_of(train)) - head.mean_) / head.scale_
    Z = (np.stack(clips_of(test)) - head.mean_) / head.scale_
    for c in range(3):
        # scikit-learn penalises its intercept; a large scaling takes that away.
        model = LinearSVC(
            C=C, class_weight="balanced", dual=False, tol=1e-12, max_iter=100_000, intercept_scaling=1000
        )
        reference = model.fit(X, train.labels == c).decision_function(Z)
        assert_allclose(
            outputs_of(head, clips_of(test))[:, c], reference, atol=2e-3 * np.abs(reference).max()
        )


def test_two_classes_are_mirror_images() -> None:
    train, test = problem(0, 6, classes=2), problem(1, 6, classes=2)
    logits = outputs_of(SVM().fit(train), clips_of(test))
    assert_allclose(logits[:, 0], -logits[:, 1], atol=1e-8)
    assert ((logits[:, 1] > 0) == (test.labels == 1)).mean() > 0.8


@pytest.mark.slow
def test_each_c_of_the_search_ends_where_a_fresh_start_does() -> None:
    rows = problem(0, 150)
    Z = np.stack(clips_of(rows)).astype(np.float64)
    grid = (1e-3, 1e-1, 10.0)
    for C, (coef, intercept) in zip(grid, SVM.solve(Z, rows.targets, grid), strict=True):
        fresh, bias = next(SVM.solve(Z, rows.targets, [C]))
        assert_allclose(coef, fresh, atol=1e-6 * np.abs(fresh).max())
        assert_allclose(intercept, bias, atol=1e-5)
