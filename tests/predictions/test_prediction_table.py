"""The prediction table: complete, checked, sorted, and the same bytes for the same content."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.testing import assert_allclose

from unheard.errors import DataError
from unheard.predictions.table import (
    ORDER,
    classes,
    clean,
    dimension_truth,
    dimensions,
    logits,
    predicted_classes,
    predicted_dimensions,
    predictions,
    probabilities,
    read_predictions,
    shares,
    softmax,
    truth,
    write_predictions,
)

CLASSES = ("sad", "angry", "calm")


def frame(n: int = 5) -> pl.DataFrame:
    rng = np.random.default_rng(1)
    return pl.DataFrame(
        {
            "id": [f"c{i}" for i in range(n)],
            "label": [CLASSES[i % 3] for i in range(n)],
            "logits": rng.normal(size=(n, 3)).tolist(),
            "fold": [i % 2 for i in range(n)],
        }
    )


def test_what_is_missing_is_filled_in_and_rows_are_sorted() -> None:
    made = predictions(frame().sample(fraction=1.0, shuffle=True, seed=0), CLASSES)
    assert made.equals(made.sort(ORDER))
    assert classes(made) == CLASSES
    assert (made["condition"].unique().to_list(), made["part"].unique().to_list()) == (["clean"], ["test"])
    z = logits(made)
    assert_allclose(probabilities(made), np.exp(z) / np.exp(z).sum(axis=1, keepdims=True), atol=1e-12)


def test_a_clip_without_an_answer_is_kept_and_is_minus_one() -> None:
    rows = frame().with_columns(
        pl.when(pl.col("id") == "c2").then(None).otherwise(pl.col("logits")).alias("logits")
    )
    made = predictions(rows, CLASSES)
    silent = made["id"].to_numpy() == "c2"
    assert predicted_classes(made)[silent] == -1
    assert (predicted_classes(made)[~silent] >= 0).all()
    assert np.isnan(probabilities(made)[silent]).all()
    assert truth(made)[silent] == 2


def test_ties_go_to_the_first_class() -> None:
    made = predictions(frame().drop("logits").with_columns(probabilities=[0.4, 0.4, 0.2]), CLASSES)
    assert set(predicted_classes(made)) == {0}


def test_softmax_is_stable() -> None:
    assert_allclose(softmax(np.array([[1000.0, 1000.0], [-1e5, 0.0]])), [[0.5, 0.5], [0.0, 1.0]])


def test_the_same_table_gives_the_same_bytes(tmp_path: Path) -> None:
    a, b = predictions(frame(), CLASSES), predictions(frame().reverse(), CLASSES)
    write_predictions(a, tmp_path / "a.parquet")
    write_predictions(b, tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    again = read_predictions(tmp_path / "a.parquet")
    assert again.equals(a)
    assert classes(again) == CLASSES


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda f: f.with_columns(logits=[0.0, 1.0]), "'logits' must hold 3 numbers"),
        (lambda f: f.with_columns(logits=[0.0, 1.0, float("nan")]), "'logits' is not finite"),
        (lambda f: f.with_columns(probabilities=[0.5, 0.5, 0.5]), "sum to 1"),
        (lambda f: f.with_columns(probabilities=[1.5, -0.5, 0.0]), "non-negative"),
        (lambda f: pl.concat([f, f]), "predicted twice"),
        (lambda f: f.with_columns(label=pl.lit("bored")), "does not fit"),
        (lambda f: f.with_columns(surprise=1), "unknown prediction column surprise"),
        (lambda f: f.head(0), "empty"),
    ],
)
def test_what_does_not_hold_is_named(fault: object, message: str) -> None:
    assert callable(fault)
    with pytest.raises(DataError, match=message):
        predictions(fault(frame()), CLASSES)


def wide(n: int = 4) -> pl.DataFrame:
    """Clips with shares of votes and two dimensions; the graders of every second one do not agree."""
    return pl.DataFrame(
        {
            "id": [f"c{i}" for i in range(n)],
            "label": [None if i % 2 else "sad" for i in range(n)],
            "target": [[0.5, 0.25, 0.25]] * n,
            "probabilities": [[0.6, 0.2, 0.2]] * n,
            "valence": [0.1 * i for i in range(n)],
            "valence_true": [0.2 * i if i else None for i in range(n)],
            "activation": [0.5] * n,
            "activation_true": [0.25] * n,
        },
        schema_overrides={"label": pl.String, "valence_true": pl.Float64},
    )


def test_shares_and_dimensions_are_arrays_with_nan_where_they_are_unknown(tmp_path: Path) -> None:
    made = predictions(wide(), CLASSES)
    assert dimensions(made) == ("activation", "valence")
    assert_allclose(shares(made), [[0.5, 0.25, 0.25]] * 4)
    assert truth(made).tolist() == [0, -1, 0, -1]
    assert_allclose(dimension_truth(made, ("valence",))[:, 0], [np.nan, 0.2, 0.4, 0.6])
    assert_allclose(predicted_dimensions(made, ("valence", "dominance"))[1], [0.1, np.nan])
    write_predictions(made, tmp_path / "a.parquet")
    assert read_predictions(tmp_path / "a.parquet").equals(made)


def test_a_table_may_have_dimensions_without_classes(tmp_path: Path) -> None:
    made = predictions(wide().drop("label", "target", "probabilities"), ())
    write_predictions(made, tmp_path / "a.parquet")
    again = read_predictions(tmp_path / "a.parquet")
    assert again.equals(made)
    assert (classes(again), dimensions(again)) == ((), ("activation", "valence"))
    assert (probabilities(again).shape, predicted_classes(again).tolist()) == ((4, 0), [-1] * 4)
    with pytest.raises(DataError, match="the table has no classes"):
        predictions(wide().drop("label", "target"), ())


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("target", [0.5, 0.25, 0.5], "'target' must be non-negative and sum to 1"),
        ("target", [0.5, 0.5], "'target' must hold 3 numbers"),
        ("valence", float("inf"), "'valence' is not finite"),
        ("valence_true", 3.5, "'valence_true' must lie on"),
    ],
)
def test_targets_are_checked(column: str, value: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        predictions(wide().with_columns(pl.lit(value).alias(column)), CLASSES)


def test_enrolment_is_part_of_the_key_and_of_the_order() -> None:
    one = frame(1)
    several = pl.concat(
        one.with_columns(enrol_k=k, enrol_kind=pl.lit(kind), draw=d)
        for k, kind, d in ((4, "clips", 1), (4, "clips", 0), (0, "all", 0), (0, "none", 0), (4, "neutral", 0))
    )
    made = predictions(several, CLASSES)
    assert made.select("enrol_k", "enrol_kind", "draw").rows() == [
        (0, "none", 0),
        (0, "all", 0),
        (4, "clips", 0),
        (4, "clips", 1),
        (4, "neutral", 0),
    ]
    assert clean(made).rows() == made.head(1).rows()


def test_a_table_from_before_enrolment_is_one_without(tmp_path: Path) -> None:
    made = predictions(frame(), CLASSES)
    made.drop("enrol_kind", "draw").write_parquet(tmp_path / "old.parquet")
    assert read_predictions(tmp_path / "old.parquet").equals(made)


def test_a_file_that_is_no_table_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read_predictions(tmp_path / "x.parquet")
    frame().write_parquet(tmp_path / "y.parquet")
    with pytest.raises(DataError, match="it lacks"):
        read_predictions(tmp_path / "y.parquet")
