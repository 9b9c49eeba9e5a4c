"""The k most probable classes, the majority of graders and sets of classes, by hand and against scikit-learn."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from sklearn.metrics import balanced_accuracy_score, f1_score, root_mean_squared_error, top_k_accuracy_score

from unheard.metrics.all_inclusive import AllInclusive
from unheard.metrics.block import Block
from unheard.metrics.dimensional import root_mean_of, squared_distance
from unheard.metrics.k_best import KBest, rank_of, second_answers
from unheard.metrics.majority import Majority
from unheard.metrics.rows import Rows, rows_with_truth
from unheard.predictions.table import predictions

NAMES = ("a", "b", "c", "d")


def rows_of(p: np.ndarray, labels: np.ndarray, shares: np.ndarray) -> Rows:
    frame = pl.DataFrame(
        {
            "system": "toy",
            "id": [f"{i:03d}" for i in range(len(p))],
            "speaker": [f"s{i % 7}" for i in range(len(p))],
            "fold": 0,
            "label": [NAMES[i] for i in labels],
            "target": shares.tolist(),
            "probabilities": [None if np.isnan(row).any() else row.tolist() for row in p],
        }
    )
    return rows_with_truth(predictions(frame, NAMES))


def scored(block: Block, rows: Rows) -> dict[str, float]:
    return {name: float(value) for name, value in block.scores(block.columns(rows).sum(axis=0)).items()}


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray, np.ndarray, Rows]:
    rng = np.random.default_rng(3)
    p, labels = rng.dirichlet(np.ones(4), 200), rng.integers(0, 4, 200)
    shares = rng.multinomial(3, [0.25] * 4, 200) / 3
    return p, labels, shares, rows_of(p, labels, shares)


def test_k_best_by_hand() -> None:
    p = np.array([[0.4, 0.3, 0.2, 0.1], [0.25, 0.25, 0.25, 0.25], [np.nan] * 4, [0.1, 0.2, 0.3, 0.4]])
    labels = np.array([1, 2, 0, 1])
    # Ties by class order: c is the third of four equal ones.
    assert_array_equal(rank_of(p, labels), [1, 2, 4, 2])
    rows = rows_of(p, labels, np.full((4, 4), 0.25))
    # a has no answer; b is second, then third; c is third.
    assert scored(KBest(4), rows) == pytest.approx(
        {"best_2": 1 / 4, "best_2_uar": (0 + 1 / 2 + 0) / 3, "best_3": 3 / 4, "best_3_uar": (0 + 1 + 1) / 3}
    )
    assert_array_equal(second_answers(rows), [[0, 2, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]])


def test_k_best_is_that_of_scikit_learn(drawn: tuple[np.ndarray, np.ndarray, np.ndarray, Rows]) -> None:
    p, labels, _, rows = drawn
    found = scored(KBest(4), rows)
    for k in (2, 3):
        assert found[f"best_{k}"] == pytest.approx(top_k_accuracy_score(labels, p, k=k))
    one = KBest(4).uar(KBest(4).columns(rows).sum(axis=0), 1)
    assert one == pytest.approx(balanced_accuracy_score(labels, p.argmax(axis=1)))
    assert second_answers(rows).sum() == 200 and not np.diag(second_answers(rows)).any()
    assert not KBest(2).metrics


def test_the_majority_leaves_ties_out(drawn: tuple[np.ndarray, np.ndarray, np.ndarray, Rows]) -> None:
    p, _, shares, rows = drawn
    agreed = np.sort(shares, axis=1)[:, -1] > np.sort(shares, axis=1)[:, -2]
    assert 0 < agreed.sum() < 200
    assert_array_equal(Majority(4).known(rows), agreed)
    due = balanced_accuracy_score(shares[agreed].argmax(axis=1), p[agreed].argmax(axis=1))
    assert scored(Majority(4), rows)["majority_uar"] == pytest.approx(due)


def test_all_inclusive_f1_is_that_of_scikit_learn(
    drawn: tuple[np.ndarray, np.ndarray, np.ndarray, Rows],
) -> None:
    p, _, shares, rows = drawn
    due = f1_score(shares > 0.25, p > 0.25, average="macro")
    assert scored(AllInclusive(4), rows)["all_inclusive_f1"] == pytest.approx(due)


def test_a_share_of_just_one_in_c_is_in_no_set() -> None:
    # 1/4 of the votes each: nobody chose a class more often than chance.
    shares = np.array([[0.25] * 4, [0.7, 0.1, 0.1, 0.1]])
    p = np.array([[0.25] * 4, [0.1 + 0.2, 0.3, 0.3, 0.1]])
    rows = rows_of(p, np.array([0, 0]), shares)
    # Of a one hit, of b and c one in the prediction alone; d is in no set.
    assert scored(AllInclusive(4), rows)["all_inclusive_f1"] == pytest.approx(1 / 3)


def test_rmse_is_that_of_scikit_learn() -> None:
    x, y = np.random.default_rng(0).random((2, 50))
    found = root_mean_of(squared_distance(x, y).sum(axis=0))
    assert found == pytest.approx(root_mean_squared_error(y, x))
