"""The probe against plain scikit-learn, and the choice of C against one written out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from one_input import clips_of, examples, outputs_of
from unheard.errors import DataError, UsageError
from unheard.heads import Examples
from unheard.heads.linear.probe import Probe


def problem(
    seed: int, n: int = 60, dims: int = 8, classes: int = 3, speakers: int = 6, spread: float = 1.0
) -> Examples:
    """Rows of unequal classes, dimensions of very different scale, one of them constant."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(classes, n, p=np.arange(1, classes + 1) / np.arange(1, classes + 1).sum())
    labels[:classes] = np.arange(classes)
    X = rng.normal(0, 1, (n, dims)) + spread * rng.normal(0, 1, (classes, dims))[labels]
    X = X * 10.0 ** rng.integers(-3, 4, dims) + rng.normal(0, 5, dims)
    X[:, -1] = 0.1
    groups = np.array([f"s{i}" for i in rng.permutation(np.arange(n) % speakers)])
    return examples(list(X.astype(np.float32)), labels.astype(np.int64), groups, classes)


def plain(C: float) -> object:
    model = LogisticRegression(C=C, class_weight="balanced", tol=1e-10, max_iter=100_000)
    return make_pipeline(StandardScaler(), model)


def stacked(rows: Examples) -> np.ndarray:
    return np.stack(clips_of(rows)).astype(np.float64)


@pytest.mark.parametrize("C", [1e-4, 1e-2, 1.0, 100.0])
@pytest.mark.parametrize(
    ("dims", "classes"), [(8, 3), (200, 4), (60, 3), (61, 3), (8, 2), (200, 2)], ids=lambda v: str(v)
)
def test_equals_plain_logistic_regression_on_standardised_rows(dims: int, classes: int, C: float) -> None:
    # 60 rows: with 61 and 200 dimensions the fit is made in row space.
    train, test = problem(0, dims=dims, classes=classes), problem(1, dims=dims, classes=classes)
    ours = outputs_of(Probe(grid=(C,)).fit(train), clips_of(test))
    reference = plain(C).fit(stacked(train), train.labels).decision_function(stacked(test))
    if classes == 2:
        assert_allclose(ours[:, 1] - ours[:, 0], reference, atol=2e-3 * np.abs(reference).max())
        return
    centred = ours - ours.mean(axis=1, keepdims=True)
    assert_allclose(
        centred, reference - reference.mean(axis=1, keepdims=True), atol=2e-3 * np.abs(reference).max()
    )


def test_chosen_c_is_that_of_pooled_answers_over_grouped_folds() -> None:
    train = problem(3, n=90, dims=40, spread=0.5)
    head = Probe().fit(train)
    X, y = stacked(train), train.labels
    expected = []
    for C in head.grid:
        predicted = np.empty_like(y)
        for inner, held in GroupKFold(5).split(X, groups=train.speakers):
            predicted[held] = plain(C).fit(X[inner], y[inner]).predict(X[held])
        expected.append(balanced_accuracy_score(y, predicted))
    assert_allclose([record["uar"] for record in head.history_], expected, atol=1e-12)
    assert [record["C"] for record in head.history_] == list(head.grid)
    assert head.chosen_["C"] == head.grid[int(np.argmax(expected))]


def test_a_tie_goes_to_the_smaller_c() -> None:
    # Far apart: every C predicted everything.
    rows = problem(0, spread=40.0)
    head = Probe(grid=(10.0, 1.0, 100.0)).fit(rows)
    assert [record["uar"] for record in head.history_] == [1.0, 1.0, 1.0]
    assert head.chosen_ == {"C": 1.0}


def test_order_of_rows_does_not_matter() -> None:
    rows, test = problem(0, dims=100), problem(1, dims=100)
    order = np.random.default_rng(5).permutation(len(rows))
    shuffled = examples(
        [clips_of(rows)[i] for i in order], rows.labels[order], rows.speakers[order], rows.classes
    )
    one, two = Probe().fit(rows), Probe().fit(shuffled)
    assert one.chosen_ == two.chosen_
    assert_allclose(outputs_of(one, clips_of(test)), outputs_of(two, clips_of(test)), atol=1e-3)


def test_constant_dimensions_have_no_say() -> None:
    for dims in (8, 100):
        head = Probe(grid=(1.0,)).fit(problem(0, dims=dims))
        assert head.scale_[-1] == 1.0
        assert_allclose(head.coef_[:, -1], 0, atol=1e-9)
        assert head.coef_.shape == (3, dims)
        seen = problem(1, dims=dims)
        moved = [np.append(row[:-1], np.float32(0.3)) for row in clips_of(seen)]
        assert_allclose(outputs_of(head, moved), outputs_of(head, clips_of(seen)), atol=1e-6)


def test_what_float32_rounds_is_no_spread() -> None:
    rng = np.random.default_rng(0)
    rows = problem(0)
    # 1e6 and its float32 neighbour: divided by that spread, a later value of 1.1e6 would be worth millions.
    nearly = [
        np.append(row, np.float32(1e6) + np.float32(0.0625) * rng.integers(2)) for row in clips_of(rows)
    ]
    head = Probe(grid=(1.0,)).fit(examples(nearly, rows.labels, rows.speakers, rows.classes))
    assert head.scale_[-1] == 1.0
    moved = [np.append(row[:-1], np.float32(1.1e6)) for row in nearly]
    assert np.abs(outputs_of(head, nearly)).max() < 100
    assert np.abs(outputs_of(head, [np.append(row[:-1], np.float32(1e6 + 1)) for row in nearly])).max() < 100
    assert np.isfinite(outputs_of(head, moved)).all()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.integers(-3, 3), st.floats(-5, 5))
def test_units_of_the_features_do_not_matter(seed: int, power: int, shift: float) -> None:
    rows, test = problem(seed, n=40, dims=5), problem(seed + 1, n=10, dims=5)
    scale = 10.0**power
    shift *= scale
    other = examples(
        [(row.astype(np.float64) * scale + shift) for row in clips_of(rows)],  # type: ignore[misc]
        rows.labels,
        rows.speakers,
        rows.classes,
    )
    one = outputs_of(Probe(grid=(0.1,)).fit(rows), clips_of(test))
    moved = [row.astype(np.float64) * scale + shift for row in clips_of(test)]
    two = outputs_of(Probe(grid=(0.1,)).fit(other), moved)
    assert_allclose(one, two, atol=1e-4)


def test_statistics_over_frames() -> None:
    rng = np.random.default_rng(0)
    clips = [rng.normal(i % 2, 1, (3 + i, 4)).astype(np.float32) for i in range(12)]
    labels, groups = np.arange(12) % 2, np.array([f"s{i // 4}" for i in range(12)])
    both = [np.concatenate([c.mean(0, dtype=float), c.std(0, dtype=float)]) for c in clips]
    for statistics, dims in (("mean", 4), ("mean+sd", 8)):
        pooled = Probe(grid=(1.0,)).fit(examples([row[:dims] for row in both], labels, groups, 2))
        head = Probe(grid=(1.0,), statistics=statistics).fit(examples(clips, labels, groups, 2))
        assert_allclose(outputs_of(head, clips), outputs_of(pooled, [row[:dims] for row in both]), atol=1e-6)
    with pytest.raises(UsageError, match="did you mean 'mean'"):
        Probe(statistics="meen")


def test_fewer_groups_give_fewer_folds_and_one_gives_none() -> None:
    rows = problem(0, speakers=2)
    assert len(Probe(grid=(0.1, 1.0)).fit(rows).history_) == 2
    alone = problem(0, speakers=1)
    with pytest.raises(DataError, match="all 60 rows are of one"):
        Probe().fit(alone)
    assert Probe(grid=(0.5,)).fit(alone).chosen_ == {"C": 0.5}


def test_a_class_that_one_speaker_alone_has_is_missed_in_the_inner_folds_and_learned_at_the_end() -> None:
    rows = problem(0, spread=6.0)
    groups = np.where(rows.labels == 2, "s0", np.where(rows.speakers == "s0", "s1", rows.speakers))
    head = Probe().fit(examples(clips_of(rows), rows.labels, groups, 3))
    assert max(record["uar"] for record in head.history_) <= 2 / 3 + 1e-12
    assert (outputs_of(head, clips_of(rows)).argmax(axis=1) == rows.labels).mean() > 0.95


def test_an_inner_part_of_a_single_class_answers_that_class() -> None:
    rows = problem(0, classes=2)
    groups = np.where(rows.labels == 1, "a", "b")
    head = Probe(grid=(0.1, 1.0)).fit(examples(clips_of(rows), rows.labels, groups, 2))
    assert [record["uar"] for record in head.history_] == [0.0, 0.0]


def test_threads_do_not_change_what_is_chosen() -> None:
    rows, test = problem(0, dims=100), problem(1, dims=100)
    one, two = Probe(threads=1).fit(rows), Probe(threads=2).fit(rows)
    assert one.chosen_ == two.chosen_
    assert_allclose(outputs_of(one, clips_of(test)), outputs_of(two, clips_of(test)), atol=1e-4)


def test_the_result_does_not_depend_on_how_c_was_found() -> None:
    rows, test = problem(0, dims=100), problem(1, dims=100)
    searched = Probe().fit(rows)
    direct = Probe(grid=(searched.chosen_["C"],)).fit(rows)
    assert_array_equal(outputs_of(searched, clips_of(test)), outputs_of(direct, clips_of(test)))


@pytest.mark.parametrize("voted", [[0, 2], [1]])
def test_a_class_that_nobody_voted_for_has_a_low_score(voted: list[int]) -> None:
    rows = problem(0)
    shares = np.zeros((len(rows), 3))
    shares[:, voted] = np.random.default_rng(0).dirichlet(np.ones(len(voted)), len(rows))
    graded = replace(rows, targets=shares, target=replace(rows.target, of="votes"))
    found = outputs_of(Probe(grid=(0.01, 1.0)).fit(graded), clips_of(rows))
    assert np.isfinite(found).all()
    assert set(found.argmax(axis=1)) <= set(voted)
