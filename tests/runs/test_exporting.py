"""From a run to a bundle: two inputs, and targets of votes and dimensions, prediction as the run did."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

import unheard as ut
from small_bundle import make_bundle
from unheard.cli.summary import enrolment_lines
from unheard.errors import DataError, UsageError
from unheard.exporting.from_run import _check_recordings
from unheard.external.score_bundle import score_bundle
from unheard.predictions.table import probabilities, read_predictions
from unheard.recipe_inputs.preparing import data_digest
from unheard.recipes.recipe import Recipe
from unheard.runs.enrolment_scores import enrolment_scores
from unheard.runs.folder import ENROLMENT
from unheard.runs.run import run as run_recipe

TWO: dict[str, Any] = {
    "rhythm": {"features": {"name": "functionals", "hop": 0.02, "trim": 40}},
    "tone": {"features": {"name": "mfbf0", "average": 8, "trim": 40}},
}
HEAD: dict[str, Any] = {
    "name": "ensemble",
    "of": [
        {"name": "probe", "grid": [0.01], "input": "rhythm"},
        {"name": "probe", "grid": [0.01], "input": "tone", "statistics": "mean"},
    ],
}


def recipe(**fields: Any) -> Recipe:
    return Recipe(recipe="toy", about="", protocol="group-3", inputs=TWO, head=HEAD, **fields)


@pytest.fixture(scope="module")
def graded(toy: pl.DataFrame) -> pl.DataFrame:
    """The toy corpus with five votes and two dimensions a clip, which follow its label."""
    names = toy["label"].cast(pl.String).to_list()
    classes = sorted(set(names))
    rng = np.random.default_rng(0)
    votes = [
        [
            {"grader": str(k), "label": name if k < 3 else str(rng.choice(classes)), "weight": 1.0}
            for k in range(5)
        ]
        for name in names
    ]
    activation = [(classes.index(name) + rng.random()) / len(classes) for name in names]
    return toy.with_columns(
        pl.Series("votes", votes, dtype=toy.schema["votes"]),
        pl.Series("activation", activation),
        pl.Series("valence", [1 - value for value in activation]),
    )


@pytest.mark.parametrize(
    "target",
    [
        {},
        {"classes": "votes", "dimensions": ["activation", "valence"]},
        {"classes": "none", "dimensions": ["valence"]},
    ],
    ids=["labels", "votes and dimensions", "a dimension"],
)
def test_a_bundle_answers_as_the_fold_s_model(
    target: dict[str, Any], graded: pl.DataFrame, tmp_path: Path
) -> None:
    protocol = ut.protocol("group-3", graded)
    run = run_recipe(recipe(target=target), graded, protocol, tmp_path / "run")
    ids = dict(zip(graded["id"], graded["path"], strict=True))
    rows = run.predictions.filter((pl.col("part") == "test") & (pl.col("fold") == 0)).head(8)
    bundle = ut.load(ut.export(run, tmp_path / "bundle", fold=0))
    assert list(bundle.description.inputs) == ["rhythm", "tone"]
    assert bundle.dimensions == tuple(target.get("dimensions", ()))
    predicted = [bundle.predict_file(ids[i]) for i in rows["id"]]
    for name in bundle.dimensions:
        found = [prediction.dimensions[name] for prediction in predicted]
        np.testing.assert_allclose(found, rows[name].to_numpy(), atol=1e-4)
    if bundle.classes:
        found = [list(prediction.probabilities.values()) for prediction in predicted]
        np.testing.assert_allclose(found, probabilities(rows), atol=1e-4)
    else:
        assert all(prediction.label is None and prediction.answered for prediction in predicted)


def test_a_bundle_of_a_run_that_adapts_answers_as_the_fold_s_model(toy: pl.DataFrame, tmp_path: Path) -> None:
    changes = {"adapt": {}, "head.augmented": True, "head.grid": [0.01], "features.hop": 0.02}
    run = ut.run("functionals", toy, ut.protocol("group-3", toy), out=tmp_path / "run", changes=changes)
    ids = dict(zip(toy["id"], toy["path"], strict=True))
    first = run.predictions.filter((pl.col("part") == "test") & (pl.col("fold") == 0))
    rows = first.filter(pl.col("speaker") == first["speaker"][0])
    bundle = ut.load(ut.export(run, tmp_path / "bundle", fold=0, coverage=1))
    found = [list(each.probabilities.values()) for each in bundle.predict_many(ids[i] for i in rows["id"])]
    np.testing.assert_allclose(found, probabilities(rows), atol=1e-5)
    everybody = ut.load(ut.export(run, tmp_path / "retrained"))
    assert everybody.description.adaptation and everybody.predict_file(ids[rows["id"][0]]).probabilities
    # Scored knowing clips of a speaker, the bundle is right as often as its run was.
    test = toy.filter(pl.col("id").is_in(list(run.protocol.folds[0].test)))
    (found,) = score_bundle(tmp_path / "bundle", test, enrol=True)["enrolment"]
    tables = (run.predictions, read_predictions(run.folder / ENROLMENT))
    of_fold = [each.filter((pl.col("fold") == 0) & (pl.col("part") == "test")) for each in tables]
    (expected,) = enrolment_scores(pl.concat(of_fold))
    assert found["kind"] == expected["kind"] == "all" and found["n_clips"] == expected["n_clips"]
    assert found["accuracy"] == expected["accuracy"] and found["difference"] == expected["difference"]
    assert any("knowing all clips" in line for line in enrolment_lines([found]))
    with pytest.raises(UsageError, match="does not adapt to voices"):
        score_bundle(make_bundle(tmp_path / "other"), test, enrol=True)


def test_recordings_that_changed_or_vanished_since_the_run_are_named(
    toy: pl.DataFrame, tmp_path: Path
) -> None:
    copies = [tmp_path / f"{k}.wav" for k in range(4)]
    for path, copy in zip(toy["path"], copies, strict=False):
        copy.write_bytes(Path(path).read_bytes())
    table = toy.head(4).with_columns(path=pl.Series(map(str, copies)))
    made: Any = SimpleNamespace(
        table=table,
        folder=tmp_path,
        provenance={"data_hash": data_digest(table)},
        path=lambda name: tmp_path / name,
    )
    (tmp_path / "provenance.json").write_text("{}")
    _check_recordings(made)
    later = (tmp_path / "provenance.json").stat().st_mtime + 5
    copies[1].write_bytes(copies[0].read_bytes())
    os.utime(copies[1], (later, later))
    copies[2].unlink()
    with pytest.raises(DataError, match=r"the run \(1 are gone: .*2\.wav; 1 were written .*1\.wav"):
        _check_recordings(made)
