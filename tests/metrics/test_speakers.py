from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from sklearn import metrics as sk

from unheard.metrics.speakers import per_speaker, variance_split
from unheard.predictions.table import predictions

Make = Callable[..., pl.DataFrame]


def from_accuracies(grids: list[np.ndarray], clips: int = 1000) -> pl.DataFrame:
    """A table whose per-speaker accuracies are the given ones, shape (speakers, seeds) a fold."""
    cells = pl.DataFrame(
        [
            {"fold": f, "seed": k, "speaker": f"{f}-{s}", "right": round(float(value) * clips)}
            for f, grid in enumerate(grids)
            for (s, k), value in np.ndenumerate(grid)
        ]
    )
    each = cells.join(pl.DataFrame({"clip": range(clips)}), how="cross")
    rows = each.select(
        "fold",
        "seed",
        "speaker",
        pl.format("{} {}", "speaker", "clip").alias("id"),
        pl.lit("sad").alias("label"),
        pl.when(pl.col("clip") < pl.col("right"))
        .then(pl.lit([0.0, 1.0]))
        .otherwise(pl.lit([1.0, 0.0]))
        .alias("probabilities"),
    )
    return predictions(rows, ("happy", "sad"))


def test_each_speaker_from_the_definition(random: Make) -> None:
    t = random(1, speakers=5, clips=7, silent=0.1)
    got = per_speaker(t)
    assert got["speaker"].to_list() == [f"s{i:03d}" for i in range(5)]
    for one in got.iter_rows(named=True):
        rows = t.filter(pl.col("speaker") == one["speaker"])
        accuracies, recalls = [], []
        for k in (0, 1):
            mine = rows.filter(pl.col("seed") == k)
            names = list(t.schema["label"].categories)
            a = [-1 if p is None else int(np.argmax(p)) for p in mine["probabilities"].to_list()]
            y = [names.index(label) for label in mine["label"]]
            accuracies.append(sk.accuracy_score(y, a))
            recalls.append(sk.recall_score(y, a, labels=sorted(set(y)), average="macro", zero_division=0))
        assert one["accuracy"] == pytest.approx(np.mean(accuracies))
        assert one["uar"] == pytest.approx(np.mean(recalls))
        assert one["n"] == 7
        assert one["gender"] == rows["gender"][0]
        assert one["fold"] == rows["fold"][0]


def test_a_speaker_whom_several_folds_test_has_no_fold(table: Make) -> None:
    rows = [
        {"id": i, "fold": f, "speaker": "a", "label": "sad", "predicted": a}
        for i, f, a in [("1", 0, "sad"), ("2", 1, "happy")]
    ]
    got = per_speaker(table(rows))
    assert got.row(0, named=True) == {
        "speaker": "a", "gender": None, "n": 2, "accuracy": 0.5, "uar": 0.5, "fold": None,
    }  # fmt: skip


def test_unknown_speakers_are_no_speaker(table: Make) -> None:
    t = table([{"id": "1", "label": "sad", "predicted": "sad"}])
    assert per_speaker(t).is_empty()
    assert variance_split(t) == {"speaker": None, "seed": None, "residual": None, "fold": None}


def test_split_against_a_table_of_squares() -> None:
    """One fold: the textbook analysis of variance of a 4 x 3 layout, in plain loops."""
    y = np.array([[0.50, 0.55, 0.52], [0.70, 0.71, 0.76], [0.40, 0.46, 0.43], [0.61, 0.60, 0.66]])
    n, r = y.shape
    ms_speaker = sum(r * (y[s].mean() - y.mean()) ** 2 for s in range(n)) / (n - 1)
    ms_seed = sum(n * (y[:, k].mean() - y.mean()) ** 2 for k in range(r)) / (r - 1)
    ms_rest = sum(
        (y[s, k] - y[s].mean() - y[:, k].mean() + y.mean()) ** 2 for s in range(n) for k in range(r)
    ) / ((n - 1) * (r - 1))
    got = variance_split(from_accuracies([y]))
    assert got["speaker"] == pytest.approx((ms_speaker - ms_rest) / r)
    assert got["seed"] == pytest.approx((ms_seed - ms_rest) / n)
    assert got["residual"] == pytest.approx(ms_rest)
    assert got["fold"] is None


def test_split_finds_the_parts_of_a_simulation() -> None:
    rng = np.random.default_rng(0)
    true = {"fold": 0.06, "speaker": 0.05, "seed": 0.03, "residual": 0.02}  # standard deviations
    grids = [
        np.clip(
            0.5
            + true["fold"] * rng.normal()
            + true["speaker"] * rng.normal(size=(6, 1))
            + true["seed"] * rng.normal(size=(1, 5))
            + true["residual"] * rng.normal(size=(6, 5)),
            0,
            1,
        )
        for _ in range(60)
    ]
    got = variance_split(from_accuracies(grids, clips=200))
    for name, sd in true.items():
        assert np.sqrt(got[name]) == pytest.approx(sd, rel=0.2), name


def test_equal_speakers_and_negative_parts_are_zero() -> None:
    y = np.array([[0.6, 0.4], [0.4, 0.6]])  # only interaction: the mean squares of both ways are 0
    got = variance_split(from_accuracies([y, y]))
    assert (got["speaker"], got["seed"], got["fold"]) == (0.0, 0.0, 0.0)
    assert got["residual"] == pytest.approx(0.04)


def test_what_the_data_cannot_tell_is_none() -> None:
    rng = np.random.default_rng(1)
    one_seed = [rng.random((3, 1)) for _ in range(4)]
    got = variance_split(from_accuracies(one_seed))
    assert got["seed"] is None
    assert got["residual"] is None
    rounded = [np.round(g, 3) for g in one_seed]
    assert got["speaker"] == pytest.approx(np.mean([g.var(ddof=1) for g in rounded]))

    one_speaker = [rng.random((1, 3)) for _ in range(5)]
    got = variance_split(from_accuracies(one_speaker))
    assert got["speaker"] is None
    assert got["residual"] is None
    rounded = [np.round(g, 3) for g in one_speaker]
    within = np.mean([g.var(ddof=1) for g in rounded])
    assert got["seed"] == pytest.approx(within)
    assert got["fold"] == pytest.approx(max(0, np.var([g.mean() for g in rounded], ddof=1) - within / 3))
