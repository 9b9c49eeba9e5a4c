"""Fusing runs: what is fitted, on whose rows, what is refused, and what the folder says."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from scipy.special import softmax

import unheard as ut
from unheard import protocols
from unheard.analysis.noisy_fusion import (
    BY_RATIO,
    FIXED,
    _of_other_speakers,
    fused_in_noise,
    noisy_lines,
)
from unheard.corpora.table import utterances, write_table
from unheard.errors import DataError, UsageError
from unheard.external.predictions import score
from unheard.files import write_json, write_text
from unheard.fusion.aligned_runs import align
from unheard.fusion.fuse import fuse
from unheard.predictions.table import classes, predictions, probabilities, write_predictions
from unheard.protocols.fold import Protocol
from unheard.runs.folder import Run
from unheard.runs.reporting import report
from unheard.runs.scoring import results

LABELS = ("sad", "angry", "calm")


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    return utterances(
        (
            {"id": f"{s}-{c}", "path": "x.wav", "speaker": s, "gender": "female" if s < "E" else "male",
             "label": LABELS[c % 3]}
            for s in "ABCDEFGH"
            for c in range(9)
        ),
        corpus="made",
        labels=LABELS,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folds(table: pl.DataFrame) -> Protocol:
    return protocols.make("group-4", table)


def predicted(
    table: pl.DataFrame, folds: Protocol, *, skill: float, chance: int, seeds: tuple[int, ...] = (0,)
) -> pl.DataFrame:
    """Rows of a system whose logits lean to the truth by ``skill``; drawn from ``chance``."""
    rng = np.random.default_rng(chance)
    rows: list[dict[str, Any]] = []
    of = {row["id"]: row for row in table.to_dicts()}
    for number, fold in enumerate(folds.folds):
        for seed in seeds:
            for part in ("val", "test"):
                for clip in sorted(getattr(fold, part)):
                    z = rng.normal(0, 1.5, 3)
                    z[LABELS.index(of[clip]["label"])] += skill
                    facts = {name: of[clip][name] for name in ("id", "speaker", "gender", "label")}
                    rows.append({**facts, "fold": number, "seed": seed, "part": part, "logits": z.tolist()})
    return pl.DataFrame(rows)


@pytest.fixture
def make(table: pl.DataFrame, folds: Protocol, tmp_path: Path) -> Callable[..., Run]:
    """Write a run folder as ``unheard run`` leaves it, from made-up predicted."""

    def made(
        name: str,
        rows: pl.DataFrame,
        *,
        at: str = "",
        refit: str = "none",
        stamps: tuple[str, ...] = (),
        protocol: Protocol = folds,
        labels: tuple[str, ...] = LABELS,
    ) -> Run:
        folder = tmp_path / (at or name)
        folder.mkdir(parents=True)
        frame = predictions(
            rows.with_columns(
                system=pl.lit(name), corpus=pl.lit("made"), protocol=pl.lit(protocol.name),
                protocol_hash=pl.lit(protocol.hash), settings_hash=pl.lit(f"hash of {name}"),
                data_hash=pl.lit("data"),
            ),
            labels,
        )  # fmt: skip
        records = [{"fold": k, "n_train_speakers": 4} for k in range(len(protocol.folds))]
        found = results(
            table, frame, protocol, recipe=name, refit=refit, settings_hash=f"hash of {name}", records=records,
            also=stamps,
        )  # fmt: skip
        write_text(folder / "config.yaml", yaml.safe_dump({"recipe": name}))
        write_json(folder / "provenance.json", {"protocol_hash": protocol.hash})
        write_json(folder / "audit.json", {"passed": True, "findings": []})
        write_table(table, folder / "table.parquet")
        write_json(folder / "protocol.json", protocol.as_dict())
        write_predictions(frame, folder / "predictions.parquet")
        write_json(folder / "results.json", found)
        return Run(folder)

    return made


@pytest.fixture
def two(table: pl.DataFrame, folds: Protocol, make: Callable[..., Run]) -> tuple[Run, Run]:
    return (
        make("voice", predicted(table, folds, skill=2.0, chance=1)),
        make("face", predicted(table, folds, skill=1.5, chance=2)),
    )


def fitted(run: Run) -> list[Any]:
    return [(fold["fold"], fold["seed"], fold["chosen"]) for fold in run.folds()]


def test_the_folder_is_a_run_like_any_other(two: tuple[Run, Run], folds: Protocol, tmp_path: Path) -> None:
    made = ut.fuse(two, out=tmp_path / "both")
    again = ut.open_run(tmp_path / "both")
    assert again.scores == made.scores
    assert again.scores["recipe"] == "fusion-face-voice"
    assert again.scores["n_train_speakers"] == 4
    assert again.protocol.hash == folds.hash
    assert again.audit["passed"]
    assert set(again.predictions["part"]) == {"val", "test"}
    assert len(again.predictions) == len(two[0].predictions)
    for fold in again.folds():
        assert sum(fold["chosen"]["weights"].values()) == pytest.approx(1)
        assert min(fold["chosen"]["temperatures"].values()) >= 1
        assert fold["val"]["fusion"] >= fold["val"]["best"]
    assert ut.compare(again, two[0]).n_clips == 72
    with pytest.raises(UsageError, match="no model of its own"):
        ut.export(again, tmp_path / "bundle")
    text = report([again], tmp_path / "report.html").read_text()
    assert "Weights and temperatures of the fusion" in text
    about = again.scores["fusion"]
    assert about["of"] == 4
    assert about["held"] == sum(row["test"]["fusion"] >= row["test"]["best"] for row in about["folds"])
    assert about["comparison"]["b"] == about["best"]


def test_probabilities_are_those_of_the_weights_that_are_written(
    two: tuple[Run, Run], tmp_path: Path
) -> None:
    made = fuse(two, tmp_path / "both")
    chosen = {(fold["fold"], fold["seed"]): fold["chosen"] for fold in made.folds()}
    theirs = {run.scores["recipe"]: run.predictions for run in two}
    for row in made.predictions.to_dicts():
        here = (pl.col("fold") == row["fold"]) & (pl.col("part") == row["part"]) & (pl.col("id") == row["id"])
        fold = chosen[row["fold"], row["seed"]]
        parts = [
            fold["weights"][name]
            * softmax(np.array(rows.filter(here)["logits"][0]) / fold["temperatures"][name])
            for name, rows in theirs.items()
        ]
        np.testing.assert_allclose(row["probabilities"], sum(parts), atol=1e-12)


def test_a_run_that_is_always_wrong_leaves_the_other_as_it_is(
    table: pl.DataFrame, folds: Protocol, make: Callable[..., Run], tmp_path: Path
) -> None:
    good = make("good", predicted(table, folds, skill=8.0, chance=1))
    bad = make("bad", predicted(table, folds, skill=-8.0, chance=2))
    made = fuse([bad, good], tmp_path / "both")
    assert all(fold["chosen"]["weights"] == {"bad": 0.0, "good": 1.0} for fold in made.folds())
    for fold in made.folds():
        of = pl.col("fold") == fold["fold"]
        z = np.array(good.predictions.filter(of)["logits"].to_list()) / fold["chosen"]["temperatures"]["good"]
        e = np.exp(z - z.max(axis=1, keepdims=True))
        assert np.array_equal(probabilities(made.predictions.filter(of)), e / e.sum(axis=1, keepdims=True))
    assert made.scores["fusion"]["held"] == 4
    assert made.scores["fusion"]["comparison"]["difference"] == 0


@pytest.mark.parametrize("method", ["mean", "stacking"])
def test_shuffled_test_labels_change_no_fitted_number(
    table: pl.DataFrame,
    folds: Protocol,
    make: Callable[..., Run],
    two: tuple[Run, Run],
    tmp_path: Path,
    method: str,
) -> None:
    rng = np.random.default_rng(5)
    other = dict(zip(table["id"], rng.permutation(table["label"].cast(pl.String).to_numpy()), strict=True))

    def shuffled(rows: pl.DataFrame) -> pl.DataFrame:
        said = pl.col("id").replace_strict(other, return_dtype=pl.String)
        return rows.with_columns(
            label=pl.when(pl.col("part") == "test").then(said).otherwise(pl.col("label"))
        )

    runs = [
        make("voice", shuffled(predicted(table, folds, skill=2.0, chance=1)), at="voice2"),
        make("face", shuffled(predicted(table, folds, skill=1.5, chance=2)), at="face2"),
    ]
    fair = fuse(two, tmp_path / "fair", method=method)
    planted = fuse(runs, tmp_path / "planted", method=method)
    named = [] if method == "mean" else [method]
    assert fair.scores["recipe"] == "-".join(["fusion", *named, *fair.scores["fusion"]["members"]])
    assert fair.scores["metrics"]["accuracy"] != planted.scores["metrics"]["accuracy"]
    assert fitted(fair) == fitted(planted)
    assert np.array_equal(probabilities(fair.predictions), probabilities(planted.predictions))


@pytest.mark.parametrize("weights", ["fitted", "equal", "cross-fitted"])
def test_the_order_of_runs_changes_nothing(
    table: pl.DataFrame,
    folds: Protocol,
    make: Callable[..., Run],
    two: tuple[Run, Run],
    tmp_path: Path,
    weights: str,
) -> None:
    three = [*two, make("text", predicted(table, folds, skill=1.0, chance=3))]
    one, other = (
        fuse(three, tmp_path / "one", weights=weights),
        fuse(three[::-1], tmp_path / "b", weights=weights),
    )
    for name in ("predictions.parquet", "results.json", "config.yaml", "provenance.json"):
        assert (one.folder / name).read_bytes() == (other.folder / name).read_bytes()
    assert fitted(one) == fitted(other)


def test_the_plain_mean_is_of_the_runs_own_probabilities(two: tuple[Run, Run], tmp_path: Path) -> None:
    made = fuse(two, tmp_path / "mean", weights="equal")
    mean = (probabilities(two[0].predictions) + probabilities(two[1].predictions)) / 2
    np.testing.assert_allclose(probabilities(made.predictions), mean, atol=1e-15)
    assert made.scores["recipe"] == "mean-face-voice"
    assert "temperatures" not in made.folds()[0]["chosen"]


def test_cross_fitted_is_stamped_and_sees_no_test_label_of_its_own_fold(
    table: pl.DataFrame, folds: Protocol, make: Callable[..., Run], two: tuple[Run, Run], tmp_path: Path
) -> None:
    turned = {"sad": "calm", "calm": "sad", "angry": "angry"}

    def planted(rows: pl.DataFrame) -> pl.DataFrame:
        own = (pl.col("part") == "test") & (pl.col("fold") == 2)
        return rows.with_columns(
            label=pl.when(own).then(pl.col("label").replace(turned)).otherwise(pl.col("label"))
        )

    runs = [
        make("voice", planted(predicted(table, folds, skill=2.0, chance=1)), at="voice2"),
        make("face", planted(predicted(table, folds, skill=1.5, chance=2)), at="face2"),
    ]
    fair = fuse(two, tmp_path / "fair", weights="cross-fitted")
    other = fuse(runs, tmp_path / "other", weights="cross-fitted")
    assert "CROSS-FITTED" in fair.scores["stamps"]
    assert fitted(fair)[2] == fitted(other)[2]
    assert fitted(fair) != fitted(other)
    # Whoever fuses it again inherits the stamp.
    assert "CROSS-FITTED" in fuse([fair, two[0]], tmp_path / "again", weights="equal").scores["stamps"]


def test_stamps_of_all_runs_are_united(
    table: pl.DataFrame, folds: Protocol, make: Callable[..., Run], tmp_path: Path
) -> None:
    runs = [
        make("a", predicted(table, folds, skill=1, chance=1), stamps=("CONTAMINATED",)),
        make("b", predicted(table, folds, skill=1, chance=2), stamps=("RANDOM WEIGHTS", "CONTAMINATED")),
    ]
    stamps = fuse(runs, tmp_path / "both").scores["stamps"]
    assert {"CONTAMINATED", "RANDOM WEIGHTS"} <= set(stamps)
    assert len(set(stamps)) == len(stamps)


def test_one_seed_is_repeated_for_each_of_the_others(
    table: pl.DataFrame, folds: Protocol, make: Callable[..., Run], tmp_path: Path
) -> None:
    runs = [
        make("many", predicted(table, folds, skill=2, chance=1, seeds=(3, 5))),
        make("one", predicted(table, folds, skill=2, chance=2)),
    ]
    said: list[str] = []
    made = fuse(runs, tmp_path / "both", weights="equal", say=said.append)
    assert said == ["one has the seed 0 alone: it is repeated for each of 3, 5"]
    assert made.scores["seeds"] == [3, 5]
    for seed in (3, 5):
        own = probabilities(runs[0].predictions.filter(pl.col("seed") == seed))
        expected = (own + probabilities(runs[1].predictions)) / 2
        found = probabilities(made.predictions.filter(pl.col("seed") == seed))
        np.testing.assert_allclose(found, expected, atol=1e-15)
    other = make("other", predicted(table, folds, skill=2, chance=3, seeds=(3, 4)))
    with pytest.raises(UsageError, match=r"many: 3, 5; other: 3, 4"):
        fuse([other, runs[0]], tmp_path / "no")


def test_where_one_gave_no_prediction_the_other_predicts_and_it_is_said(
    table: pl.DataFrame, folds: Protocol, make: Callable[..., Run], two: tuple[Run, Run], tmp_path: Path
) -> None:
    silent = pl.col("id").is_in(["A-0", "B-1"])
    holed = predicted(table, folds, skill=1.5, chance=2).with_columns(
        logits=pl.when(silent).then(None).otherwise(pl.col("logits"))
    )
    absent = make("absent", holed.filter(pl.col("id") != "A-0"))  # one clip is silent, one has no row at all
    said: list[str] = []
    made = fuse([two[0], absent], tmp_path / "both", weights="equal", say=said.append)
    assert said == ["absent has no prediction for 2 clips: there the others are fused by themselves"]
    assert made.scores["fusion"]["unanswered"] == {"absent": 2}
    assert made.scores["n_clips"] == 72
    both = made.predictions.filter(silent)
    np.testing.assert_allclose(
        probabilities(both), probabilities(two[0].predictions.filter(silent)), atol=1e-15
    )
    assert "there the others predict by themselves" in report([made], tmp_path / "r.html").read_text()


def test_scored_external_predictions_can_be_fused(
    table: pl.DataFrame, folds: Protocol, two: tuple[Run, Run], tmp_path: Path
) -> None:
    test = two[1].predictions.filter(pl.col("part") == "test")
    p = probabilities(test)
    pl.DataFrame({"id": test["id"], **{f"p_{name}": p[:, k] for k, name in enumerate(LABELS)}}).write_csv(
        tmp_path / "theirs.csv"
    )
    score(tmp_path / "theirs.csv", table, folds, system="theirs", out=tmp_path / "theirs")
    theirs = ut.open_run(tmp_path / "theirs")
    with pytest.raises(UsageError, match="weights 'equal'"):
        fuse([theirs, two[0]], tmp_path / "no")
    made = fuse([theirs, two[0]], tmp_path / "mean", weights="equal")
    assert set(made.predictions["part"]) == {"test"}
    assert made.scores["settings_hash"] is None  # so its predictions are never stored as our own
    assert made.scores["refit"] == "unknown"
    assert made.scores["n_train_speakers"] is None
    assert made.scores["fusion"]["chosen_by"] == "test"
    assert made.audit["passed"]
    expected = (probabilities(two[0].predictions.filter(pl.col("part") == "test")) + p) / 2
    np.testing.assert_allclose(probabilities(made.predictions), expected, atol=1e-9)
    stamps = fuse([theirs, two[0]], tmp_path / "crossed", weights="cross-fitted").scores["stamps"]
    assert "CROSS-FITTED" in stamps


def test_what_cannot_be_fused_is_refused_by_name(
    table: pl.DataFrame, folds: Protocol, make: Callable[..., Run], two: tuple[Run, Run], tmp_path: Path
) -> None:
    voice, face = two
    rows = predicted(table, folds, skill=1, chance=4)
    loso = protocols.make("loso", table)
    other_folds = make("loso", predicted(table, loso, skill=1, chance=4), protocol=loso)
    refitted = make("refitted", rows, refit="val")
    part = make("part", rows.filter(pl.col("fold") != 3))
    relabelled = make("relabelled", rows.with_columns(label=pl.lit("sad")))
    for runs, options, error, said in (
        ([voice], {}, UsageError, "at least two runs, found 1"),
        ([voice, voice], {}, UsageError, "named twice"),
        ([voice, other_folds], {}, UsageError, "not of one protocol"),
        ([voice, refitted], {}, UsageError, "refitted on validation speakers"),
        ([voice, part], {}, UsageError, "part lacks what another run has: test of fold 3"),
        ([voice, relabelled], {}, DataError, "different things"),
        (two, {"weights": "equall"}, UsageError, "did you mean 'equal'"),
        (two, {"method": "product", "weights": "equal"}, UsageError, "the method product is fitted"),
        (two, {"out": face.folder, "force": True}, UsageError, "is one of the runs to fuse"),
    ):
        with pytest.raises(error, match=said):
            fuse(runs, **{"out": tmp_path / "no", **options})  # type: ignore[arg-type]
    assert not (tmp_path / "no").exists()
    assert classes(face.predictions) == LABELS
    fuse(two, tmp_path / "yes")
    with pytest.raises(UsageError, match="holds a run"):
        fuse(two, tmp_path / "yes")
    fuse(two, tmp_path / "yes", force=True)


def test_the_command(two: tuple[Run, Run], tmp_path: Path) -> None:
    call = [sys.executable, "-m", "unheard", "fuse", *(str(run.folder) for run in two), "--name", "box"]
    call += ["--out", str(tmp_path / "box"), "--ledger", str(tmp_path / "ledger.csv"), "--decided", "nothing"]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    assert "box on group-4" in done.stdout
    assert "on test at least as good as its best run (best by validation) in" in done.stdout
    assert (tmp_path / "box" / "report.html").is_file()
    assert "box," in (tmp_path / "ledger.csv").read_text()
    assert json.loads((tmp_path / "box" / "results.json").read_text())["recipe"] == "box"


@pytest.mark.data
def test_the_plain_mean_of_a_voice_and_a_face_that_others_published(
    data_folder: Path, tmp_path: Path
) -> None:
    rows = ut.read("ravdess", data_folder / "ravdess" / "speech")
    folds = ut.protocol("ravdess-aus5", rows)
    runs = []
    for name in ("audio", "face-mean"):
        file = data_folder / "ravdess-faces" / "foreign" / f"{name}.csv"
        score(file, rows, folds, system=name, out=tmp_path / name)
        runs.append(ut.open_run(tmp_path / name))
    made = fuse(runs, tmp_path / "mean", weights="equal")
    assert made.scores["metrics"]["accuracy"]["pooled"] == pytest.approx(0.837, abs=5e-4)
    assert made.scores["fusion"]["best"] == "audio"


def in_noise(run: Run, table: pl.DataFrame, folds: Protocol, skills: dict[str, float]) -> None:
    """Write what ``unheard noise`` writes: the run's test rows under conditions that change its skill."""
    frames = []
    for chance, (condition, skill) in enumerate(skills.items()):
        rows = predicted(table, folds, skill=skill, chance=100 + chance).filter(pl.col("part") == "test")
        known = ("system", "corpus", "protocol", "protocol_hash")
        about = run.predictions.select(known).row(0, named=True)
        frames.append(
            rows.with_columns(condition=pl.lit(condition), **{k: pl.lit(v) for k, v in about.items()})
        )
    write_predictions(predictions(pl.concat(frames), LABELS), run.folder / "noise.parquet")


def test_a_fusion_fitted_by_ratio_follows_the_stream_that_is_worth_it(
    table: pl.DataFrame, folds: Protocol, make: Callable[..., Run]
) -> None:
    voice = make("voice", predicted(table, folds, skill=6.0, chance=1))
    face = make("face", predicted(table, folds, skill=2.0, chance=2))
    in_noise(voice, table, folds, {"white_20dB": 6.0, "white_0dB": -3.0})
    found = fused_in_noise([voice, face])
    assert found["noisy"] == ["voice"]
    clean, quiet, loud = found["conditions"]
    assert [one["condition"] for one in found["conditions"]] == ["clean", "white_20dB", "white_0dB"]
    assert clean["best"] == quiet["best"] == "voice" and loud["best"] == "face"
    alone = [one["systems"]["face"]["accuracy"]["pooled"] for one in found["conditions"]]
    assert alone[0] == alone[1] == alone[2], "nothing happens to a face in noise"
    assert (
        loud["systems"]["voice"]["accuracy"]["pooled"] < 0.2 < clean["systems"]["voice"]["accuracy"]["pooled"]
    )
    # Weights that were fitted without noise trust a voice that says the opposite of the truth.
    assert loud["weights"][FIXED] == clean["weights"][FIXED] and loud["weights"][FIXED]["voice"] > 0.5
    assert loud["weights"][BY_RATIO]["voice"] < 0.1
    assert loud["gain"]["value"] > 0.3 and loud["gain"]["low"] > 0
    assert loud["fixed_over_best"]["value"] < 0
    assert abs(quiet["gain"]["value"]) < 0.1
    fixed = ut.fuse([voice, face], out=voice.folder.parent / "both").scores["metrics"]
    assert clean["systems"][FIXED]["accuracy"]["pooled"] == pytest.approx(fixed["accuracy"]["pooled"])
    lines = noisy_lines(found)
    assert len(lines) == 6 and lines[-1].startswith("| white_0dB | ")


def test_labels_of_the_tested_fold_decide_nothing_about_its_weights(
    table: pl.DataFrame, folds: Protocol, make: Callable[..., Run]
) -> None:
    voice = make("voice", predicted(table, folds, skill=2.0, chance=1))
    face = make("face", predicted(table, folds, skill=2.0, chance=2))
    in_noise(voice, table, folds, {"white_0dB": 1.0})
    aligned = align([voice, face])
    tested = aligned.where(fold=0, seed=0, part="test")
    others = _of_other_speakers(aligned, 0, 0)
    assert not (tested & others).any() and others.sum() == 54
    assert not set(aligned.rows["speaker"].filter(pl.Series(tested))) & set(
        aligned.rows["speaker"].filter(pl.Series(others))
    )


def test_noise_that_nobody_measured_is_named(
    table: pl.DataFrame, folds: Protocol, make: Callable[..., Run]
) -> None:
    voice = make("voice", predicted(table, folds, skill=2.0, chance=1))
    face = make("face", predicted(table, folds, skill=2.0, chance=2))
    with pytest.raises(UsageError, match="no run was predicted in noise: `unheard noise RUN` does it"):
        fused_in_noise([voice, face])
    in_noise(voice, table, folds, {"white_0dB": 1.0})
    in_noise(face, table, folds, {"white_5dB": 1.0})
    with pytest.raises(UsageError, match="different conditions of noise"):
        fused_in_noise([voice, face])
