"""The models of a run on other test sets: guarded, and the same as computed from what they predict by hand."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import unheard as ut
from unheard.analysis.test_sets import TestSet, score_test_sets
from unheard.cli import app
from unheard.corpora.table import write_table
from unheard.errors import DataError, ProtocolError, UsageError
from unheard.runs.folder import Run


@pytest.fixture(scope="module")
def parted(toy: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, pl.DataFrame]:
    """A run that learned from the first speakers, and the clips of those who are left for tests."""
    speakers = sorted(toy["speaker"].unique())
    people = pl.col("speaker")
    part = (
        pl.when(people.is_in(speakers[:2]))
        .then(pl.lit("train"))
        .when(people.is_in(speakers[2:4]))
        .then(pl.lit("test"))
        .otherwise(pl.lit("another"))
    )
    table = toy.with_columns(split=part)
    taught = table.filter(pl.col("split") != "another")
    run = ut.run(
        "functionals",
        taught,
        ut.protocol("owner", taught),
        out=tmp_path_factory.mktemp("parted") / "run",
        changes={"head.grid": [0.01], "calibration": "none"},
    )
    return run, table


def test_the_runs_own_test_part_is_scored_as_the_run_scored_it(parted: tuple[Run, pl.DataFrame]) -> None:
    run, table = parted
    own = table.filter(pl.col("split") == "test")
    other = table.filter(pl.col("split") == "another")
    first, second = score_test_sets(run, [TestSet("own", own), TestSet("other", other)])
    assert first["metrics"]["uar"] == pytest.approx(run.scores["metrics"]["uar"])
    assert first["answered"]["uar"]["pooled"] == pytest.approx(run.scores["metrics"]["uar"]["pooled"])
    assert first["n_clips"] == len(own) and first["n_heard"] == first["n_left_out"] == 0
    assert second["set"] == "other" and second["n_clips"] == len(other)
    assert "SYNTHETIC" in second["stamps"]


def test_fewer_classes_are_scored_than_were_trained(parted: tuple[Run, pl.DataFrame]) -> None:
    run, table = parted
    own = table.filter(pl.col("split") == "test")
    names = run.scores["labels"]
    asked = names[1:4]
    (found,) = score_test_sets(run, [TestSet("own", own)], classes=asked)
    rows = run.predictions.filter(pl.col("label").cast(pl.String).is_in(asked) & (pl.col("part") == "test"))
    p, label = np.array(rows["probabilities"].to_list()), rows["label"].cast(pl.String).to_numpy()
    for got, columns in ((found["metrics"], [1, 2, 3]), (found["answered"], list(range(len(names))))):
        answer = np.array([names[columns[k]] for k in p[:, columns].argmax(axis=1)])
        recalls = [np.mean(answer[label == name] == name) for name in asked]
        assert got["uar"]["pooled"] == pytest.approx(np.mean(recalls))
    assert found["n_left_out"] == len(own) - len(rows) > 0 and found["classes"] == asked


def test_speakers_of_the_training_are_refused_or_left_out_and_counted(
    parted: tuple[Run, pl.DataFrame],
) -> None:
    run, table = parted
    with pytest.raises(ProtocolError, match="SPEAKER_ON_TWO_SIDES: all: the run was trained on"):
        score_test_sets(run, [TestSet("all", table)])
    (found,) = score_test_sets(run, [TestSet("all", table, "drop")])
    taught = table.filter(pl.col("split") == "train")
    assert found["n_heard"] == len(taught) and found["n_clips"] == len(table) - len(taught)
    with pytest.raises(DataError, match="nobody is left"):
        score_test_sets(run, [TestSet("taught", taught, "drop")])
    # People of another corpus are others, whatever they are called.
    elsewhere = taught.with_columns(corpus=pl.lit("another"))
    assert score_test_sets(run, [TestSet("x", elsewhere)])[0]["n_heard"] == 0


def test_what_cannot_be_scored_is_said(parted: tuple[Run, pl.DataFrame]) -> None:
    run, table = parted
    own = TestSet("own", table.filter(pl.col("split") == "test"))
    with pytest.raises(UsageError, match="each once; found own, own"):
        score_test_sets(run, [own, own])
    with pytest.raises(UsageError, match="found bored among the classes"):
        score_test_sets(run, [own], classes=["bored"])
    lacking = TestSet("own", own.table.with_columns(label=pl.lit(None, own.table.schema["label"])))
    with pytest.raises(DataError, match=r"own: no clip can be scored.*found no label"):
        score_test_sets(run, [lacking])


def test_the_command_prints_a_table_of_sets(parted: tuple[Run, pl.DataFrame], tmp_path) -> None:
    run, table = parted
    write_table(table, tmp_path / "t.parquet")
    sets = [f"first={tmp_path}/t.parquet@test", f"second={tmp_path}/t.parquet@another"]
    done = CliRunner().invoke(app, ["testsets", str(run.folder), "--on", sets[0], "--on", sets[1]])
    assert done.exit_code == 0, done.output
    assert "functionals on 2 test sets" in done.output and done.output.count("as answered among all") == 2
    done = CliRunner().invoke(app, ["testsets", str(run.folder), "--on", f"first={tmp_path}/t.parquet@dev"])
    assert isinstance(done.exception, UsageError) and "holds another, test, train" in str(done.exception)
