from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from numpy.testing import assert_allclose
from scipy.spatial.distance import cosine as scipy_cosine
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy

from unheard.metrics import estimators
from unheard.metrics.distributional import cosine, jensen_shannon, kl, metrics_for, top_k
from unheard.metrics.estimators import folds

Make = Callable[..., pl.DataFrame]


def estimates(table: pl.DataFrame, draws: int) -> dict[str, estimators.Estimates]:
    return {block.name: found for block, found in estimators.estimates(table, draws)}


def drawn(n: int = 40, c: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    votes = rng.multinomial(5, rng.dirichlet(np.ones(c)), size=n)
    return rng.dirichlet(np.ones(c), n), votes / 5


def test_they_agree_with_scipy() -> None:
    p, t = drawn()
    assert_allclose(kl(p, t), [entropy(a, b) for a, b in zip(t, p, strict=True)])
    assert_allclose(jensen_shannon(p, t), [jensenshannon(a, b) ** 2 for a, b in zip(t, p, strict=True)])
    assert_allclose(cosine(p, t), [1 - scipy_cosine(a, b) for a, b in zip(t, p, strict=True)])


def test_by_hand() -> None:
    p, t = np.array([[0.5, 0.25, 0.25]]), np.array([[0.5, 0.5, 0.0]])
    assert_allclose(kl(p, t), [0.5 * np.log(2)])
    assert_allclose(cosine(p, t), [0.375 / np.sqrt(0.375 * 0.5)])
    # Of two classes with most votes, a and b, both are among the two most probable: the tie goes to b.
    assert_allclose(top_k(p, t, 2), [1.0])
    assert_allclose(top_k(np.array([[0.1, 0.2, 0.7]]), t, 2), [0.5])
    assert_allclose(top_k(np.array([[0.0, 0.0, 1.0]]), t, 1), [0.0])


def test_equal_distributions_are_best() -> None:
    _, t = drawn()
    assert_allclose(kl(t, t), 0, atol=1e-12)
    assert_allclose(jensen_shannon(t, t), 0, atol=1e-12)
    assert_allclose(cosine(t, t), 1)
    assert_allclose(top_k(t, t, 2), 1)


def test_certain_and_wrong_is_finite() -> None:
    p, t = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    assert_allclose(kl(p, t), -np.log(1e-12))
    assert_allclose(jensen_shannon(p, t), np.log(2))


def test_a_clip_without_answer_is_uniform_and_agrees_with_nothing() -> None:
    p, t = np.full((1, 4), np.nan), np.array([[1.0, 0, 0, 0]])
    assert_allclose(kl(p, t), np.log(4))
    assert_allclose(cosine(p, t), 0.5)
    assert_allclose(top_k(p, t, 1), 0)


def test_sets_are_smaller_than_the_number_of_classes() -> None:
    assert [m.name for m in metrics_for(2)] == ["kl", "jensen_shannon", "cosine", "top_1"]
    assert metrics_for(5)[-1].name == "top_3"


def test_a_table_of_votes_gets_estimates_of_labels_and_shares(table: Make) -> None:
    p, t = drawn(60, 3)
    rows = [
        {
            "id": f"{i}",
            "speaker": f"s{i % 6}",
            "fold": i % 6 % 2,
            "label": None if i % 3 == 0 else "sad",
            "target": t[i].tolist(),
            "probabilities": p[i].tolist() if i % 10 else None,
        }
        for i in range(60)
    ]
    made = table(rows)
    found = estimates(made, draws=200)
    assert {"classes", "majority", "distribution"} <= set(found)
    silent = np.arange(60) % 10 == 0
    filled = np.where(silent[:, None], 1 / 3, p)
    assert found["distribution"]["kl"]["pooled"] == pytest.approx(kl(filled, t).mean())
    assert found["distribution"]["kl"]["low"] < found["distribution"]["kl"]["high"]
    labelled = made.filter(pl.col("label").is_not_null())
    assert found["classes"] == estimates(labelled.with_columns(target=None), draws=200)["classes"]
    each = folds(made)
    assert [fold["n_test"] for fold in each] == [30, 30]
    assert np.mean([f["distribution"]["kl"] for f in each]) == pytest.approx(
        found["distribution"]["kl"]["mean"]
    )
