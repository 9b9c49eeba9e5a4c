"""Foreign predictions are joined by id, and contradictions are refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.testing import assert_allclose

from unheard import protocols
from unheard.corpora.table import utterances
from unheard.errors import DataError, UsageError
from unheard.external.predictions import joined, read_external, score
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


@pytest.mark.parametrize("kind", ["p", "logit"])
@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_a_clip_without_a_number_for_every_class_is_named(
    table: pl.DataFrame, folds: Protocol, frame: pl.DataFrame, kind: str, value: float | None
) -> None:
    other = frame.rename({f"p_{name}": f"{kind}_{name}" for name in LABELS})
    hole = pl.when(pl.col("id").is_in(["B-1", "D-4"])).then(pl.lit(value, pl.Float64))
    holed = other.with_columns(hole.otherwise(pl.col(f"{kind}_calm")).alias(f"{kind}_calm"))
    with pytest.raises(DataError, match=f"B-1: {kind}_calm is .*, D-4: {kind}_calm is"):
        joined(holed, table, folds, system="x")


def test_the_rounding_of_two_decimals_is_taken_out_and_said(
    table: pl.DataFrame, folds: Protocol, frame: pl.DataFrame
) -> None:
    said: list[str] = []
    short = frame.with_columns(pl.col("^p_.*$") * 0.986)
    made = joined(short, table, folds, system="x", say=said.append)
    assert_allclose(probabilities(made), probabilities(joined(frame, table, folds, system="x")), atol=1e-12)
    assert said == ["probabilities sum to 0.986 … 0.986, and were scaled to 1"]
    for wrong in (pl.col("^p_.*$") * 0.98, pl.col("^p_.*$") * 3 - 2 / 3):
        with pytest.raises(DataError, match=r"sum to 1 within 0\.015 and not be below 0.*logit_CLASS"):
            joined(frame.with_columns(wrong), table, folds, system="x")


def test_clips_by_the_names_of_their_files_and_classes_by_their_names(
    table: pl.DataFrame, folds: Protocol, frame: pl.DataFrame
) -> None:
    expected = joined(frame, table, folds, system="x")
    bare = frame.rename({f"p_{name}": name for name in LABELS})
    for column, name in (
        ("id", pl.col("id") + ".wav"), ("File Name", "clips/" + pl.col("id") + ".flac"),
        ("path", "C:\\x\\" + pl.col("id") + ".WAV"), ("filename", pl.col("id")),
    ):  # fmt: skip
        other = bare.with_columns(name.alias("id")).rename({"id": column})
        assert joined(other, table, folds, system="x").equals(expected)
    pieces = table.with_columns(path=pl.col("id").str.head(1) + "/a.wav")  # one name, several clips
    with pytest.raises(DataError, match="tests in no fold: a"):
        joined(frame.with_columns(id=pl.lit("a.wav")), pieces, folds, system="x")


def test_predicted_classes_without_probabilities(
    table: pl.DataFrame, folds: Protocol, frame: pl.DataFrame
) -> None:
    said: list[str] = []
    hard = frame.select("id", Predicted=pl.Series([LABELS[k % 2] for k in range(len(frame))]))
    made = joined(hard, table, folds, system="x", say=said.append)
    chosen = dict(zip(made["id"], probabilities(made).argmax(axis=1), strict=True))
    assert [LABELS[chosen[i]] for i in hard["id"]] == hard["Predicted"].to_list()
    assert "without probabilities" in said[0]
    with pytest.raises(DataError, match="column 'Predicted': unknown class 'sadd'; did you mean 'sad'"):
        joined(hard.with_columns(Predicted=pl.lit("sadd")), table, folds, system="x")
    with pytest.raises(DataError, match="column 'Predicted' is empty for A-0"):
        joined(hard.with_columns(Predicted=pl.lit(None, pl.String)), table, folds, system="x")


def test_what_predict_wrote_with_recordings_without_an_answer(
    tmp_path: Path, table: pl.DataFrame, folds: Protocol, frame: pl.DataFrame
) -> None:
    gone = pl.when(pl.col("id") != "B-1")
    rows = frame.select(
        ("clips/" + pl.col("id") + ".wav").alias("path"),
        gone.then(pl.lit("calm")).alias("label"),
        *(gone.then(pl.col(f"p_{name}")).alias(f"p_{name}") for name in LABELS),
        flags=pl.lit(""),
        error=pl.lit(""),
    )
    rows.write_csv(tmp_path / "answers.csv")
    made = joined(read_external(tmp_path / "answers.csv"), table, folds, system="x")
    assert made.filter(pl.col("probabilities").is_null())["id"].to_list() == ["B-1"]
    whole = joined(frame, table, folds, system="x").filter(pl.col("id") != "B-1")
    assert_allclose(probabilities(made.filter(pl.col("id") != "B-1")), probabilities(whole), atol=1e-5)


def test_what_is_no_number_and_no_id_is_named(
    tmp_path: Path, table: pl.DataFrame, folds: Protocol, frame: pl.DataFrame
) -> None:
    for cell, said in (("n/a", "'n/a'"), ("0,5", "'0,5'"), ("", "empty")):
        rows = frame.with_columns(pl.col("p_sad").cast(pl.String))
        rows[7, "p_sad"] = cell
        rows.write_csv(tmp_path / "theirs.csv")
        with pytest.raises(DataError, match=f"B-1: p_sad is {said}"):
            score(tmp_path / "theirs.csv", table, folds, system="x")
    with pytest.raises(DataError, match=r"A-0: p_sad is \[0"):
        joined(frame.with_columns(pl.concat_list("p_sad")), table, folds, system="x")
    nameless = frame.with_columns(pl.when(pl.col("id") != "A-2").then(pl.col("id")).alias("id"))
    with pytest.raises(DataError, match="'id' is empty in prediction 3"):
        joined(nameless, table, folds, system="x")


def test_a_table_of_any_dialect_says_the_same(
    tmp_path: Path, table: pl.DataFrame, folds: Protocol, frame: pl.DataFrame
) -> None:
    frame.write_csv(tmp_path / "a.csv")
    frame.write_csv(tmp_path / "b.csv", separator=";", include_bom=True, line_terminator="\r\n")
    frame.write_csv(tmp_path / "c.tsv", separator="\t")
    frame.write_csv(tmp_path / "d.csv", separator="\t")
    frame.write_ndjson(tmp_path / "e.jsonl")
    frame.write_parquet(tmp_path / "f.parquet")
    expected = joined(frame, table, folds, system="x")
    for path in sorted(tmp_path.iterdir()):
        assert joined(read_external(path), table, folds, system="x").equals(expected), path.name


def test_ids_keep_their_zeros(
    tmp_path: Path, table: pl.DataFrame, folds: Protocol, frame: pl.DataFrame
) -> None:
    theirs = [f"{k:04d}" for k in range(len(frame))]
    frame.with_columns(id=pl.Series(theirs)).write_csv(tmp_path / "theirs.csv")
    pairs = pl.DataFrame({"theirs": theirs, "ours": table["id"]})
    pairs.write_csv(tmp_path / "ids.csv")
    found = score(tmp_path / "theirs.csv", table, folds, system="x", ids=tmp_path / "ids.csv")
    truth = np.array([LABELS.index(label) for label in frame["label"]])
    prediction = frame.select("p_sad", "p_angry", "p_calm").to_numpy().argmax(axis=1)
    assert found["metrics"]["accuracy"]["pooled"] == pytest.approx((truth == prediction).mean())


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a,b,c\n1,2,3\n", "expected two columns"),
        ("a,b\n01,A-0\n01,A-1\n", "several rows: 01"),
        ("a,b\n01,\n", "an id is empty: 01 → nothing"),
    ],
)
def test_a_map_of_ids_that_says_two_things_or_none_is_refused(
    tmp_path: Path, table: pl.DataFrame, folds: Protocol, frame: pl.DataFrame, rows: str, message: str
) -> None:
    frame.write_csv(tmp_path / "theirs.csv")
    (tmp_path / "ids.csv").write_text(rows)
    with pytest.raises(DataError, match=message):
        score(tmp_path / "theirs.csv", table, folds, system="x", ids=tmp_path / "ids.csv")


def test_files_that_are_not_there_or_have_impossible_names(tmp_path: Path) -> None:
    for name in ("absent.csv", "x" * 300 + ".csv"):
        with pytest.raises(UsageError, match="no such file"):
            read_external(tmp_path / name)


def test_ids_may_be_mapped_and_a_run_folder_left(
    tmp_path: Path, table: pl.DataFrame, folds: Protocol, frame: pl.DataFrame
) -> None:
    frame.with_columns(id=pl.lit("x") + pl.col("id")).write_csv(tmp_path / "theirs.csv")
    pl.DataFrame({"theirs": "x" + table["id"], "ours": table["id"]}).write_csv(tmp_path / "ids.csv")
    found = score(
        tmp_path / "theirs.csv", table, folds, system="theirs", ids=tmp_path / "ids.csv", out=tmp_path / "run"
    )
    truth = np.array([LABELS.index(label) for label in frame["label"]])
    prediction = frame.select("p_sad", "p_angry", "p_calm").to_numpy().argmax(axis=1)
    assert found["metrics"]["accuracy"]["pooled"] == pytest.approx((truth == prediction).mean())
    assert found["stamps"] == ["FEW SPEAKERS"]

    from unheard.runs.folder import open_run

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
    frame = read_external(data_folder / "ravdess-faces" / "foreign" / f"{name}.csv")
    made = joined(frame, utterances_of_ravdess, folds, system=name)
    prediction = probabilities(made).argmax(axis=1)
    assert (prediction == made["label"].to_physical().to_numpy()).mean() == pytest.approx(
        accuracy, abs=0.0005
    )
