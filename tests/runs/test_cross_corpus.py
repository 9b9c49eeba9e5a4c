"""What runs reach on corpora that they left out, against the same computed from the predictions by hand."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import unheard as ut
from unheard.analysis.cross_corpus import cross_corpus
from unheard.cli.crosscorpus import lines
from unheard.corpora.joining import joined
from unheard.errors import UsageError
from unheard.predictions.table import classes
from unheard.runs.folder import Run


@pytest.fixture(scope="module")
def crossed(toy: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Three corpora of two speakers each, one of which lacks a class."""
    speakers, lacking = sorted(toy["speaker"].unique()), toy["label"].cast(pl.String)[0]
    parts = {name: toy.filter(pl.col("speaker").is_in(speakers[k::3])) for k, name in enumerate("xyz")}
    parts["y"] = parts["y"].filter(pl.col("label").cast(pl.String) != lacking)
    table = joined([part.with_columns(corpus=pl.lit(name)) for name, part in parts.items()])
    return ut.run(
        "functionals",
        table,
        ut.protocol("leave-corpus", table),
        out=tmp_path_factory.mktemp("crossed") / "run",
        changes={"head.grid": [0.01], "calibration": "none"},
    )


def test_each_corpus_is_scored_among_its_own_classes(crossed: Run) -> None:
    found = cross_corpus([crossed])
    assert [(row["taught"], row["tested"]) for row in found] == [
        (["y", "z"], "x"),
        (["x", "z"], "y"),
        (["x", "y"], "z"),
    ]
    names = list(classes(crossed.predictions))
    for row in found:
        rows = crossed.predictions.filter(pl.col("id").str.starts_with(f"{row['tested']}/"))
        p, label = np.array(rows["probabilities"].to_list()), rows["label"].cast(pl.String).to_numpy()
        own = [names.index(name) for name in row["classes"]]
        assert set(label) == set(row["classes"])
        for among, columns in (("among", own), ("answered", list(range(len(names))))):
            answer = np.array([names[columns[one]] for one in p[:, columns].argmax(axis=1)])
            recalls = [np.mean(answer[label == name] == name) for name in row["classes"]]
            assert row[among]["uar"]["pooled"] == pytest.approx(np.mean(recalls))
    assert [len(row["classes"]) - len(names) for row in found] == [0, -1, 0]
    assert sum("among its" in line for line in lines(found)) == 3


def test_other_folds_are_refused(toy_run: Run) -> None:
    with pytest.raises(UsageError, match=r"run on group-3.*leave-corpus"):
        cross_corpus([toy_run])
