"""Foreign predictions are joined by id, and contradictions are refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.testing import assert_allclose

from unheard import protocols
from unheard.corpora.table import utterances
from unheard.errors import DataError
from unheard.experiment.foreign import joined, read_foreign, score
from unheard.predictions.table import probabilities
from unheard.protocols.fold import Protocol

LABELS = ("sad", "angry", "calm")


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    return utterances(
        (
            {"id": f"{s}-{c}", "path": "x.wav", "speaker": s, "gender": "female", "label": LABELS[c % 3]}
            for s in "ABCDEF"
            for c in range(6)
        ),
        corpus="made",
        labels=LABELS,
    )


@pytest.fixture(scope="module")
def folds(table: pl.DataFrame) -> Protocol:
    return protocols.make("loso", table)


@pytest.fixture
def frame(table: pl.DataFrame) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(3), len(table))
    columns = {f"p_{name}": p[:, k] for k, name in enumerate(LABELS)}
    number = {s: f"fold {k}" for k, s in enumerate("FEDCBA")}
    return pl.DataFrame(
        {
            "id": table["id"],
            "fold": [number[i[0]] for i in table["id"]],
            "label": table["label"].cast(pl.String),
            **columns,
        }
    )


def test_probabilities_go_through_unchanged_whatever_the_order(
    table: pl.DataFrame, folds: Protocol, frame: pl.DataFrame
) -> None:
    made = joined(frame.sample(fraction=1.0, shuffle=True, seed=3), table, folds, system="theirs")
    expected = (
        made.select("id").join(frame, on="id", maintain_order="left").select("p_sad", "p_angry", "p_calm")
    )
    assert_allclose(probabilities(made), expected.to_numpy(), atol=1e-12)
    assert made["protocol_hash"].unique().to_list() == [folds.hash]
    assert set(made["part"]) == {"test"}


def test_logits_become_their_softmax(table: pl.DataFrame, folds: Protocol, frame: pl.DataFrame) -> None:
    logs = frame.select("id", *[(pl.col(f"p_{name}").log() + 7).alias(f"logit_{name}") for name in LABELS])
    a, b = joined(logs, table, folds, system="x"), joined(frame, table, folds, system="x")
    assert_allclose(probabilities(a), probabilities(b), atol=1e-12)


def test_printed_digits_are_rounding_and_half_a_distribution_is_an_error(
    table: pl.DataFrame, folds: Protocol, frame: pl.DataFrame
) -> None:
    rounded = frame.with_columns(pl.col("^p_.*$").round(4))
    assert_allclose(probabilities(joined(rounded, table, folds, system="x")).sum(axis=1), 1, atol=1e-12)
    with pytest.raises(DataError, match="must sum to 1"):
        joined(frame.with_columns(pl.col("p_sad") / 2), table, folds, system="x")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda f: f.drop("p_calm"), "missing calm"),
        (lambda f: f.rename({"p_calm": "p_clam"}), "unknown clam"),
        (lambda f: f.drop("p_sad", "p_angry", "p_calm"), "one column a class"),
        (lambda f: f.head(-1), "no prediction for 1 tested clips: F-5"),
        (lambda f: pl.concat([f, f.head(1)]), "predicted twice: A-0"),
        (lambda f: f.with_columns(id=pl.col("id") + "x"), "tests in no fold"),
        (lambda f: f.with_columns(label=pl.lit("sad")), "A-1: sad, ours angry"),
        (lambda f: f.with_columns(fold=pl.lit(0)), "groups the clips otherwise"),
    ],
)
def test_contradictions_are_named(
    table: pl.DataFrame, folds: Protocol, frame: pl.DataFrame, fault: object, message: str
) -> None:
    assert callable(fault)
    with pytest.raises(DataError, match=message):
        joined(fault(frame), table, folds, system="x")


def test_ids_may_be_mapped_and_a_run_folder_left(
    tmp_path: Path, table: pl.DataFrame, folds: Protocol, frame: pl.DataFrame
) -> None:
    frame.with_columns(id=pl.lit("x") + pl.col("id")).write_csv(tmp_path / "theirs.csv")
    pl.DataFrame({"theirs": "x" + table["id"], "ours": table["id"]}).write_csv(tmp_path / "ids.csv")
    found = score(
        tmp_path / "theirs.csv", table, folds, system="theirs", ids=tmp_path / "ids.csv", out=tmp_path / "run"
    )
    truth = np.array([LABELS.index(label) for label in frame["label"]])
    answer = frame.select("p_sad", "p_angry", "p_calm").to_numpy().argmax(axis=1)
    assert found["metrics"]["accuracy"]["pooled"] == pytest.approx((truth == answer).mean())
    assert found["stamps"] == ["FEW SPEAKERS"]

    from unheard.experiment.folder import open_run

    run = open_run(tmp_path / "run")
    assert run.scores == found
    assert run.protocol.hash == folds.hash


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "accuracy"),
    [("audio", 0.819), ("face-mean", 0.604), ("face-sequence", 0.624), ("fusion", 0.867)],
)
def test_the_published_posteriors_come_out_at_their_accuracy(
    data_folder: Path, name: str, accuracy: float
) -> None:
    from unheard import corpora

    utterances_of_ravdess = corpora.read("ravdess", data_folder / "ravdess")
    folds = protocols.make("ravdess-aus5", utterances_of_ravdess)
    frame = read_foreign(data_folder / "ravdess-faces" / "foreign" / f"{name}.csv")
    made = joined(frame, utterances_of_ravdess, folds, system=name)
    answer = probabilities(made).argmax(axis=1)
    assert (answer == made["label"].to_physical().to_numpy()).mean() == pytest.approx(accuracy, abs=0.0005)
