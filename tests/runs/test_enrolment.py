"""Runs that adapt to speakers: what is set aside, what is scored, and that knowing a planted voice helps."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import unheard as ut
from unheard.errors import DataError, UsageError
from unheard.predictions.table import read_predictions
from unheard.runs.enrolment import ASIDE, COUNTS, DRAWS, asked
from unheard.runs.enrolment_scores import enrolment_scores
from unheard.runs.fitting import load_head
from unheard.runs.folder import ENROLMENT, Run
from unheard.testing import toy_corpus

SPEAKERS = [f"s{k // 30}" for k in range(90)] + ["short"] * 10 + [None] * 3
LABELS = ["neutral" if k % 3 == 0 else "angry" for k in range(103)]


def test_the_same_clips_are_set_aside_for_every_number_and_never_scored() -> None:
    every = [one for one in asked(SPEAKERS, LABELS) if one.kind == "clips"]
    assert sorted({one.count for one in every}) == list(COUNTS)
    assert {one.count: sum(o.count == one.count for o in every) for one in every} == {
        count: 1 if count in (0, ASIDE) else DRAWS for count in COUNTS
    }
    assert len({tuple(one.scored) for one in every}) == 1
    scored = set(every[0].scored)
    aside = defaultdict(set)
    for one in every:
        assert set(one.known) == {"s0", "s1", "s2"}
        for speaker, known in one.known.items():
            assert len(known.rows) == one.count and {SPEAKERS[i] for i in known.rows} <= {speaker}
            assert not scored & set(known.rows)
            aside[speaker] |= set(known.rows)
    assert all(len(rows) == ASIDE for rows in aside.values())
    assert len(scored) == 3 * (30 - ASIDE)


def test_the_neutral_curve_knows_neutral_clips_alone() -> None:
    every = [one for one in asked(SPEAKERS, LABELS) if one.kind == "neutral"]
    assert every
    for one in every:
        for known in one.known.values():
            assert {LABELS[i] for i in known.rows} <= {"neutral"}
            assert not set(known.rows) & set(one.scored)


def test_all_clips_are_known_and_scored_last_and_nobody_without_a_name_is() -> None:
    (whole,) = [one for one in asked(SPEAKERS, LABELS) if one.kind == "all"]
    assert sorted(whole.scored) == list(range(100)) and set(whole.known) == {"s0", "s1", "s2", "short"}
    assert list(asked([None], ["angry"])) == []


def test_a_speaker_is_asked_the_same_in_every_fold() -> None:
    alone = [one for one in asked(SPEAKERS[:30], LABELS[:30]) if one.kind == "clips"]
    among = [one for one in asked(SPEAKERS, LABELS) if one.kind == "clips"]
    assert [one.known["s0"] for one in alone] == [one.known["s0"] for one in among]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    folder = tmp_path_factory.mktemp("toy") / "corpus"
    toy_corpus(folder, speakers=6, takes=2)
    return ut.read("synthetic", folder)


@pytest.fixture(scope="module")
def features(table: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Features of a voice that is moved far from the others', and of an emotion in it."""
    rng = np.random.default_rng(0)
    effect = rng.standard_normal((8, 10)) * 1.5
    voice = {speaker: rng.standard_normal(10) * 6 for speaker in table["speaker"].unique().sort()}
    found = {
        name: (voice[speaker] + effect[label] + rng.standard_normal(10)).astype(np.float32)
        for name, speaker, label in zip(
            table["id"], table["speaker"], table["label"].to_physical(), strict=True
        )
    }
    path = tmp_path_factory.mktemp("features") / "planted.npz"
    np.savez(path, **found)
    return path


def planted(features: Path) -> dict[str, object]:
    return {
        "features": {"name": "precomputed", "path": str(features)},
        "adapt": {},
        "head.augmented": True,
        "head.grid": [0.1],
    }


@pytest.fixture(scope="module")
def adapted(table: pl.DataFrame, features: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("runs") / "adapted"
    return ut.run("functionals", table, ut.protocol("group-3", table), out=out, changes=planted(features))


def test_knowing_a_planted_voice_helps_and_the_headline_knows_nothing(adapted: Run) -> None:
    found = {(one["kind"], one["clips"]): one for one in adapted.scores["enrolment"]}
    assert set(found) >= {("clips", count) for count in COUNTS} | {("all", None), ("neutral", 8)}
    gain = found["clips", 16]["difference"]
    assert gain["value"] > 0.1 and gain["low"] > 0
    assert found["clips", 16]["accuracy"]["pooled"] > found["clips", 1]["accuracy"]["pooled"]
    assert "difference" not in found["clips", 0]
    assert set(adapted.predictions["enrol_kind"]) == {"none"}
    assert adapted.scores["n_clips"] == len(adapted.table)


def test_the_difference_is_that_of_the_means_of_speakers(adapted: Run) -> None:
    table = read_predictions(adapted.folder / ENROLMENT)
    right = pl.col("probabilities").list.arg_max() == pl.col("label").to_physical()
    of = {
        count: table.filter((pl.col("enrol_kind") == "clips") & (pl.col("enrol_k") == count))
        .group_by("speaker")
        .agg(right.mean().alias("x"))["x"]
        .mean()
        for count in (0, 4)
    }
    (four,) = [e for e in adapted.scores["enrolment"] if (e["kind"], e["clips"]) == ("clips", 4)]
    assert four["difference"]["value"] == pytest.approx(of[4] - of[0])
    test = adapted.predictions.filter(pl.col("part") == "test")
    assert enrolment_scores(pl.concat([test, table])) == adapted.scores["enrolment"]


def test_the_stored_head_knows_nothing_of_a_speaker_unless_told(adapted: Run) -> None:
    record = adapted.folds()[0]
    head = load_head(adapted, adapted.recipe, record)
    with np.load(adapted.recipe.inputs["voice"].features["path"]) as stored:
        test = adapted.predictions.filter((pl.col("part") == "test") & (pl.col("fold") == 0))
        outputs = head.outputs({"voice": [stored[name] for name in test["id"]]})
    np.testing.assert_allclose(outputs, test["logits"].to_list(), rtol=1e-6)


@pytest.mark.slow
def test_a_clip_that_cannot_be_predicted_counts_in_every_row(
    table: pl.DataFrame, features: Path, tmp_path: Path
) -> None:
    speaker = table["speaker"][0]
    lost = set(table.filter(pl.col("speaker") == speaker)["id"][:10])
    with np.load(features) as stored:
        np.savez(tmp_path / "half.npz", **{name: stored[name] for name in stored.files if name not in lost})
    run = ut.run(
        "functionals",
        table,
        ut.protocol("group-3", table),
        out=tmp_path / "run",
        changes=planted(tmp_path / "half.npz"),
        max_bad=1,
    )
    found = read_predictions(run.folder / ENROLMENT)
    for (kind, count), rows in found.group_by(["enrol_kind", "enrol_k"]):
        unpredicted = set(rows.filter(pl.col("logits").is_null())["id"])
        long = kind == "all" or found.filter(pl.col("speaker") == speaker)["enrol_kind"].is_in([kind]).any()
        assert unpredicted == (lost if long else set()), (kind, count)
    (whole,) = [one for one in run.scores["enrolment"] if one["kind"] == "all"]
    assert whole["n_clips"] == len(table)
    test = run.predictions.filter(pl.col("part") == "test")
    right = (pl.col("probabilities").list.arg_max() == pl.col("label").to_physical()).fill_null(False)
    assert whole["before"] == pytest.approx(test.select(right.mean()).item())


def test_dimensions_alone_have_no_curve(table: pl.DataFrame, features: Path, tmp_path: Path) -> None:
    graded = table.with_columns(activation=pl.col("label").to_physical() / 8)
    changes = {**planted(features), "target": {"classes": "none", "dimensions": ["activation"]}}
    run = ut.run("functionals", graded, ut.protocol("group-3", graded), out=tmp_path / "run", changes=changes)
    assert "enrolment" not in run.scores and run.scores["dimensions"]


def test_what_cannot_adapt_is_refused(
    table: pl.DataFrame, features: Path, tmp_path: Path, adapted: Run
) -> None:
    protocol = ut.protocol("group-3", table)
    changes = {**planted(features), "head.augmented": False}
    with pytest.raises(UsageError, match=r"head\.augmented=true"):
        ut.run("functionals", table, protocol, out=tmp_path / "a", changes=changes)
    nameless = table.with_columns(speaker=pl.when(pl.int_range(pl.len()) < 2).then(None).otherwise("speaker"))
    with pytest.raises(DataError, match="2 clips have no speaker"):
        ut.run("functionals", nameless, protocol, out=tmp_path / "b", changes=planted(features))
