"""Votes and two dimensions the whole way: from the table to results, the report, a bundle and a prediction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import unheard as ut
from unheard.exporting.retraining import on_speakers
from unheard.predictions.table import dimensions, predicted_dimensions, shares
from unheard.runs.reporting import report


@pytest.fixture(scope="module")
def graded(toy: pl.DataFrame) -> pl.DataFrame:
    """Five graders a clip who mostly agree with its label, and two dimensions that follow it."""
    rng = np.random.default_rng(0)
    names = list(toy.schema["label"].categories)
    votes = [
        [
            {
                "grader": f"{g}",
                "label": label if rng.random() < 0.7 else str(rng.choice(names)),
                "weight": 1.0,
            }
            for g in range(5)
        ]
        for label in toy["label"].cast(pl.String)
    ]
    place = toy["label"].to_physical().to_numpy() / len(names)
    return toy.with_columns(
        pl.Series("votes", votes, dtype=toy.schema["votes"]),
        valence=pl.Series(place),
        activation=pl.Series(1 - place / 2),
    )


NETWORK = {
    "features": {"name": "logmel"},
    "head": {"name": "mean", "epochs": 8, "patience": 8, "learning_rate": 0.02},
}


@pytest.mark.parametrize(
    ("classes", "changes"),
    [("votes", {}), ("none", {}), ("votes", NETWORK)],
    ids=["votes", "none", "network"],
)
def test_votes_and_dimensions_are_trained_answered_scored_reported_and_exported(
    graded: pl.DataFrame, tmp_path: Path, classes: str, changes: dict[str, Any]
) -> None:
    run = ut.run(
        "functionals",
        graded,
        ut.protocol("group-3", graded),
        out=tmp_path / "run",
        changes={"target.classes": classes, "target.dimensions": ["activation", "valence"], **changes},
    )
    t = run.predictions
    assert dimensions(t) == ("activation", "valence")
    answered = predicted_dimensions(t, ("activation", "valence"))
    assert np.isfinite(answered).all() and answered.min() >= 0 and answered.max() <= 1
    assert run.scores["dimensions"]["mean.ccc"]["pooled"] > 0
    if classes == "votes":
        assert np.isfinite(shares(t)).all() and {"kl", "cosine"} <= set(run.scores["distribution"])
        if not changes:  # a few epochs are enough for dimensions alone
            assert run.scores["metrics"]["accuracy"]["pooled"] > 1 / len(run.scores["labels"])
    else:
        assert run.scores["metrics"] == {} and run.scores["labels"] == []
    assert "<h3>Dimensions</h3>" in report([run], tmp_path / "report.html").read_text()
    bundle = ut.load(ut.export(run, tmp_path / "bundle"))
    prediction = bundle.predict_file(graded["path"][0])
    assert set(prediction.dimensions) == {"activation", "valence"}
    assert all(0 <= value <= 1 for value in prediction.dimensions.values())
    if classes == "votes":
        assert sum(prediction.probabilities.values()) == pytest.approx(1)
    else:
        assert prediction.label is None and not prediction.probabilities


def test_a_retrained_model_is_calibrated_by_the_votes_as_the_folds_are(
    graded: pl.DataFrame, tmp_path: Path
) -> None:
    # The votes say another class than the label, so that the temperature by the label is another one.
    names = list(graded.schema["label"].categories)
    turned = dict(zip(names, [*names[1:], names[0]], strict=True))
    others = [
        [{**vote, "label": turned[vote["label"]]} for vote in votes] for votes in graded["votes"].to_list()
    ]
    table = graded.with_columns(pl.Series("votes", others, dtype=graded.schema["votes"]))
    run = ut.run(
        "functionals",
        table,
        ut.protocol("group-3", table),
        out=tmp_path / "run",
        changes={"target.classes": "votes", "calibration": "free"},
        only=[0],
    )
    (record,) = run.folds()
    assert record["temperature"] < 50
    assert on_speakers(run).temperature == pytest.approx(record["temperature"], abs=1e-9)


def test_what_was_learned_differs_and_what_is_scored_does_not(graded: pl.DataFrame, tmp_path: Path) -> None:
    tied = graded["votes"].list.eval(pl.element().struct.field("label")).list.n_unique() > 2
    assert tied.any()
    runs = {}
    for kind in ("label", "majority", "votes"):
        changes = {"target.classes": kind, "head.grid": [0.01]}
        changes |= {"target.smoothing": 0.05} if kind == "votes" else {}
        folds = ut.protocol("group-3", graded, classes=kind)
        runs[kind] = ut.run("functionals", graded, folds, out=tmp_path / kind, changes=changes, only=[0])
    truths = [run.predictions.select("id", "label", "target") for run in runs.values()]
    assert truths[0].equals(truths[1]) and truths[0].equals(truths[2])
    for run in runs.values():
        assert {"majority", "distribution", "all_inclusive", "k_best", "aurc"} <= set(run.scores)
        assert run.scores["graders"]["n_graders"] == 5
        assert 0.5 < run.scores["graders"]["accuracy"]["pooled"] < 0.9
        assert run.scores["n_without_agreement"] > 0
        assert {row["group"] for row in run.scores["speakers_above"]} >= {"all"}
    # Clips without a majority teach nobody who learns the majority, and are tested all the same.
    counts = {kind: run.folds()[0]["n_train_clips"] for kind, run in runs.items()}
    assert counts["majority"] < counts["label"] == counts["votes"]
    assert runs["majority"].folds()[0]["n_train_without_agreement"] == 0
    assert runs["votes"].folds()[0]["n_train_without_agreement"] == counts["votes"] - counts["majority"]
    found = ut.compare(runs["votes"], runs["label"])
    assert found.metric == "accuracy" and "kl" in found.secondary["exchange"]
