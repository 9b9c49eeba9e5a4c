"""Runs in noise: their own predictions without it, only unheard people in it, and the same in any order."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile
import yaml

import unheard as ut
from unheard.corpora.table import classes
from unheard.errors import DataError, MachineError, UsageError
from unheard.metrics import estimators
from unheard.noise import evaluation as room
from unheard.noise.evaluation import noisy
from unheard.noise.inference import CLEAN, Condition, NoiseTask, generator, noisy_clips
from unheard.noise.plan import Recordings, condition, crossed, planned
from unheard.predictions.table import read_predictions
from unheard.recipe_inputs.preparing import of_layers
from unheard.recipes import recipe as recipes
from unheard.runs.folder import Run, locked
from unheard.runs.run import run as run_recipe
from unheard.testing import toy_corpus, toy_encoder

KEYS = ["fold", "seed", "id"]
BABBLE = Condition("babble", 5.0)
#: Chooses nothing, and so learns from a single speaker.
QUICK = {"name": "probe", "grid": [0.01]}
#: So sure that it needs a temperature.
SURE = {"name": "probe", "grid": [100.0]}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    return toy_encoder(tmp_path_factory.mktemp("models") / "hubert", "hubert")


@pytest.fixture(scope="module")
def few(toy: pl.DataFrame) -> pl.DataFrame:
    return toy.filter(pl.col("speaker").is_in(["01", "02", "03"]))


@pytest.fixture(scope="module")
def fast(toy: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Frames with a fast linear head and two seeds; module-wide, since noise is written into its folder."""
    recipe = recipes.load(
        "functionals", {"features": {"name": "logmel", "trim": 30}, "seeds": [0, 1], "head": SURE}
    )
    return run_recipe(recipe, toy, ut.protocol("group-3", toy), tmp_path_factory.mktemp("runs") / "fast")


def encoded(model: Path, head: dict[str, Any], **more: Any) -> recipes.Recipe:
    encoder = {"name": "hubert", "model": str(model), **more.pop("encoder", {})}
    own = {key: more.pop(key) for key in ("layer", "storage", "augment") if key in more}
    second = {key: more.pop(key) for key in ("functionals",) if key in more}
    return recipes.validate(
        {
            "recipe": "toy",
            "about": "toy",
            "protocol": "group-3",
            "inputs": {"voice": {"encoder": encoder, **own}, **second},
            "head": head,
            **more,
        }
    )


def without_noise(run: Run) -> float:
    """Largest difference between the run's probabilities and those of the same clips, predicted clean again."""
    found = []
    for plan in planned(run, [CLEAN], 0):
        tasks = [NoiseTask(task.fold, task.clip, ((CLEAN, ()),), 0) for task in plan.tasks]
        recipe = of_layers(run.recipe, plan.layers)
        for record in plan.records:
            head = room.load_head(run, run.recipe, record)
            for task, noisy_inputs in noisy_clips(recipe, tasks):
                found += room._predictions(head, record, task, noisy_inputs)
    again = pl.DataFrame(found, schema=[*KEYS, "condition", "logits", "again"], orient="row")
    test = run.predictions.filter(pl.col("part") == "test")
    both = test.join(again.select(*KEYS, "again"), on=KEYS)
    assert len(both) == len(test)
    return float(np.abs(np.array(both["probabilities"].to_list()) - np.array(both["again"].to_list())).max())


def test_without_noise_a_run_on_features_predicts_as_before(fast: Run) -> None:
    assert all(record["temperature"] > 1.1 for record in fast.folds())
    assert without_noise(fast) < 1e-9


@pytest.mark.parametrize(
    ("head", "more"),
    [
        (
            {"name": "probe", "statistics": "mean+sd", "grid": [0.01], "layers": "average"},
            {"encoder": {"trim": 30}, "refit": "val"},
        ),
        ({"name": "emobox", "epochs": 1}, {"layer": "salient"}),
        (
            {
                "name": "ensemble",
                "of": [
                    {**QUICK, "input": "functionals"},
                    {"name": "emobox", "input": "voice", "epochs": 1},
                ],
            },
            {
                "layer": 2,
                "encoder": {"trim": 30},
                "functionals": {"features": {"name": "functionals", "trim": 30}},
                "storage": {"type": "int8", "average": 3},
            },
        ),
        ({"name": "weighted", "epochs": 1}, {"storage": {"average": 2}}),
        pytest.param(
            {"name": "emobox"},
            {"encoder": {"trim": 30}, "training": {"tune": "top 1", "epochs": 1}},
            marks=pytest.mark.slow,
        ),
    ],
    ids=["pooled", "salient", "ensemble", "layers", "tuned"],
)
def test_without_noise_a_run_on_an_encoder_predicts_as_before(
    model: Path, few: pl.DataFrame, tmp_path: Path, head: dict[str, Any], more: dict[str, Any]
) -> None:
    protocol = ut.protocol("group-3", few)
    assert (
        without_noise(run_recipe(encoded(model, head, **more), few, protocol, tmp_path / "run", only=[0]))
        < 1e-3
    )


def test_conditions_by_name_and_recordings_from_folders(fast: Run, tmp_path: Path) -> None:
    """A response that is a single sample changes nothing, and the noise of the folder has the ratio."""
    rng = np.random.default_rng(0)
    for folder, wave in (("hum", 0.1 * rng.standard_normal(8000)), ("room", np.eye(1, 8000, 20)[0])):
        (tmp_path / folder).mkdir()
        soundfile.write(tmp_path / folder / "a.wav", wave, 16000)
    files = Recordings.found(tmp_path / "hum", tmp_path / "room")
    found = noisy(
        fast, ["recorded"], [5], conditions=["impulse", "gain_-3dB", "mu_law"], recordings=files
    )  # fmt: skip
    clean, hum, same, gain, law = found["conditions"]
    assert [row["condition"] for row in found["conditions"][1:]] == [
        "recorded_5dB", "impulse", "gain_-3dB", "mu_law",
    ]  # fmt: skip
    assert hum["realised_snr"]["min"] == pytest.approx(5, abs=0.01)
    assert same["accuracy"] == clean["accuracy"] and same["difference"]["accuracy"]["value"] == 0
    assert (same["snr"], gain["level"], law["level"]) == (None, -3, None)
    assert "babble" not in found["noise"]
    with pytest.raises(UsageError, match=r"impulse takes recordings: name their folder \(--rooms\)"):
        noisy(fast, [], [], conditions=["impulse"])
    with pytest.raises(UsageError, match="no recording in it"):
        Recordings.found(None, fast.folder / "folds")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("room_9s", "level of room must be in 0.1 to 1.2 s; found 9"),
        ("room_dry", "room takes a number of s"),
        ("cave", "unknown condition 'cave'"),
        ("gain_infdB", "found inf"),
    ],
)
def test_conditions_that_are_not_there_are_refused(name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        condition(name)


def test_names_of_conditions_read_back() -> None:
    every = crossed([], [], ["all", "coloured_-2.5dB", "amr_4.75kbps", "impulse"])
    assert [condition(each.name) for each in every] == every and len(every) > 12


def test_every_test_row_is_predicted_under_every_condition(fast: Run) -> None:
    said: list[str] = []
    done: list[tuple[int, int]] = []
    found = noisy(
        fast, ["white", "babble"], [20, 0], seed=3, say=said.append,
        progress=lambda stage, count, total: done.append((count, total)),
    )  # fmt: skip
    table = read_predictions(fast.folder / "noise.parquet")
    clean = fast.predictions.filter(pl.col("part") == "test")
    names = ["white_20dB", "white_0dB", "babble_20dB", "babble_0dB"]
    assert set(table["condition"]) == set(names)
    for name in names:
        rows = table.filter(pl.col("condition") == name)
        same = ["system", "protocol_hash", "fold", "seed", "part", "id", "speaker", "gender", "label"]
        assert rows.select(same).equals(clean.select(same))
        assert rows["logits"].null_count() == 0
        assert (rows["probabilities"] != clean["probabilities"]).all()
    assert json.loads((fast.folder / "noise.json").read_text(encoding="utf-8")) == found
    assert [row["condition"] for row in found["conditions"]] == ["clean", *names]
    assert done == [(k, 96) for k in range(1, 97)]
    plan = "\n".join(said)
    assert "96 test clips of 3 folds, 384 times through logmel" in plan and "2 seeds" in plan
    page = (fast.folder / "noise.html").read_text(encoding="utf-8")
    assert (
        page.count("<svg") == 1 and "FEW SPEAKERS" in page and "none of whom the fold was trained on" in page
    )


def test_scores_are_those_of_the_rows_and_differences_are_paired_over_speakers(fast: Run) -> None:
    found = noisy(fast, ["white"], [0])
    clean, loud = found["conditions"]
    stored = fast.scores["metrics"]
    assert clean["accuracy"] == stored["accuracy"] and clean["uar"] == stored["uar"]
    table = read_predictions(fast.folder / "noise.parquet")
    assert loud["accuracy"] == estimators.estimate(table)["accuracy"]
    assert set(loud["gender"]) == {"female", "male", "difference"}

    def right(rows: pl.DataFrame) -> pl.DataFrame:
        best = pl.col("probabilities").list.arg_max()
        return rows.select("speaker", right=(best == pl.col("label").to_physical()).cast(pl.Float64))

    def by_speaker(rows: pl.DataFrame) -> np.ndarray:
        return right(rows).group_by("speaker").agg(pl.col("right").mean()).sort("speaker")["right"].to_numpy()

    lost = by_speaker(table) - by_speaker(fast.predictions.filter(pl.col("part") == "test"))
    assert loud["difference"]["accuracy"]["value"] == pytest.approx(lost.mean())
    assert loud["realised_snr"]["min"] == pytest.approx(0, abs=0.5)
    assert loud["realised_snr"]["max"] == pytest.approx(0, abs=0.5)
    assert found["noise"] == {"seed": 0, "agreement": found["noise"]["agreement"]}


@pytest.mark.slow
def test_neither_processes_nor_the_other_conditions_change_a_prediction(fast: Run) -> None:
    noisy(fast, ["white", "babble"], [20, 5], seed=1)
    all_of_them = read_predictions(fast.folder / "noise.parquet")
    noisy(fast, ["white", "babble"], [20, 5], seed=1, jobs=2)
    assert read_predictions(fast.folder / "noise.parquet").equals(all_of_them)
    noisy(fast, ["babble"], [5], seed=1)
    alone = read_predictions(fast.folder / "noise.parquet")
    among = all_of_them.filter(pl.col("condition") == "babble_5dB")
    assert alone.drop("logits", "probabilities").equals(among.drop("logits", "probabilities"))
    # Sums of a head over more rows may differ in their last digits.
    assert np.allclose(alone["logits"].to_list(), among["logits"].to_list(), rtol=0, atol=1e-9)
    noisy(fast, ["babble"], [5], seed=2)
    other = read_predictions(fast.folder / "noise.parquet")
    assert not np.allclose(alone["logits"].to_list(), other["logits"].to_list(), rtol=0, atol=1e-3)


def test_every_clip_condition_seed_and_purpose_has_its_own_chance() -> None:
    others = [(1, BABBLE, "a", "noise"), (0, BABBLE, "b", "noise"), (0, BABBLE, "a", "voices")]
    kinds = [(0, Condition(kind, snr), "a", "noise") for kind, snr in (("white", 5.0), ("babble", 10.0))]
    asked = [(0, BABBLE, "a", "noise"), *others, *kinds]
    drawn = [generator(*one).random() for one in asked]
    assert len(set(drawn)) == len(asked)
    assert drawn == [generator(*one).random() for one in asked]


@pytest.mark.parametrize("refit", ["none", "val"])
def test_only_people_whom_the_fold_was_not_trained_on_babble(
    toy: pl.DataFrame, tmp_path: Path, refit: str
) -> None:
    recipe = recipes.load("functionals", {"features": {"name": "logmel"}, "refit": refit})
    run = run_recipe(recipe, toy, ut.protocol("group-3", toy), tmp_path / "run")
    speaker = dict(toy.select("id", "speaker").iter_rows())
    for plan in planned(run, [BABBLE], 0):
        train, val, test = ({speaker[i] for i in part} for part in run.protocol.folds[plan.number])
        assert set(plan.pool) == (test if refit == "val" else test | val)
        used = set()
        for task in plan.tasks:
            ((_, voices),) = [pair for pair in task.conditions if pair[0] == BABBLE]
            who = [speaker[clip.id] for clip in voices]
            assert len(set(who)) == len(who) == (1 if refit == "val" else 3)
            assert not set(who) & (train | {speaker[task.clip.id]})
            used |= {clip.id for clip in voices}
        assert {speaker[i] for i in used} == set(plan.pool) and len(used) > 10


def test_where_nobody_is_left_another_corpus_babbles(
    few: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipes.load("functionals", {"features": {"name": "logmel"}, "refit": "val", "head": QUICK})
    protocol = ut.protocol("group-3", few)
    run = run_recipe(recipe, few, protocol, tmp_path / "run", only=[0, 2])
    with pytest.raises(UsageError, match=r"fold 0: nobody is left to babble over .*--babble"):
        noisy(run)
    assert not (run.folder / "noise.json").exists()
    with pytest.raises(UsageError, match="the babble is of synthetic, as the run is"):
        noisy(run, others=few)
    elsewhere = toy_corpus(tmp_path / "elsewhere", speakers=2, seed=9).with_columns(corpus=pl.lit("other"))
    found = noisy(run, ["babble"], [10], others=elsewhere)
    babble = found["noise"]["babble"]
    assert babble["corpus"] == "other" and babble["voices"] == {"min": 2, "max": 2}
    assert [fold["fold"] for fold in babble["folds"]] == [0, 2]
    assert found["incomplete"] == ["fold 1: not asked for"]
    assert "2 other speakers of other at a time" in (run.folder / "noise.html").read_text(encoding="utf-8")


def test_clipped_samples_are_counted(tmp_path: Path) -> None:
    table = toy_corpus(tmp_path / "loud", speakers=3)
    for path in table["path"]:
        wave, rate = soundfile.read(path)
        soundfile.write(path, 0.99 * wave / np.abs(wave).max(), rate)
    recipe = recipes.load("functionals", {"features": {"name": "logmel"}, "head": QUICK})
    run = run_recipe(recipe, table, ut.protocol("group-3", table), tmp_path / "run")
    soft, loud = noisy(run, ["white"], [40, -10])["conditions"][1:]
    assert loud["clipped"]["clips"] == 48 and loud["clipped"]["samples"] > 48
    assert soft["clipped"]["samples"] < loud["clipped"]["samples"] / 100
    assert loud["realised_snr"]["max"] == pytest.approx(-10, abs=0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kinds": ["whit"]}, "unknown kind of noise 'whit'; did you mean 'white'"),
        ({"kinds": []}, "found no kind at"),
        ({"snrs": []}, "at no dB"),
        ({"snrs": [10, 10.0]}, "each once"),
        ({"snrs": [100]}, "-20 to 60 dB; found 100"),
        ({"snrs": [float("nan")]}, "found nan"),
    ],
)
def test_conditions_that_make_no_sense_are_refused(fast: Run, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        noisy(fast, **options)


def test_runs_without_a_model_of_their_own_are_refused(
    toy_run: Run, toy: pl.DataFrame, tmp_path: Path
) -> None:
    csv = tmp_path / "theirs.csv"
    test = toy_run.predictions.filter(pl.col("part") == "test")
    names = classes(toy)
    columns = {f"p_{name}": [row[k] for row in test["probabilities"]] for k, name in enumerate(names)}
    test.select("id", "fold").with_columns(**{k: pl.Series(v) for k, v in columns.items()}).write_csv(csv)
    from unheard.external.predictions import score

    score(csv, toy, toy_run.protocol, system="theirs", out=tmp_path / "theirs")
    with pytest.raises(UsageError, match="scored or fused, and no model of its own"):
        noisy(Run(tmp_path / "theirs"))
    fused = ut.fuse([toy_run, Run(tmp_path / "theirs")], out=tmp_path / "fused", weights="equal")
    with pytest.raises(UsageError, match="scored or fused, and no model of its own"):
        noisy(fused)


def test_leaky_and_precomputed_runs_are_refused(toy: pl.DataFrame, tmp_path: Path, model: Path) -> None:
    quick = {"features": {"name": "logmel"}, "head": QUICK}
    leaky = ut.protocol("random-3", toy)
    run = run_recipe(recipes.load("functionals", quick), toy, leaky, tmp_path / "leaky", only=[0])
    with pytest.raises(UsageError, match="was trained on its test speakers"):
        noisy(run)
    np.savez(tmp_path / "x.npz", **{i: np.zeros(3, np.float32) for i in toy["id"]})
    given = recipes.load(
        "functionals", {"features": {"name": "precomputed", "path": str(tmp_path / "x.npz")}}
    )
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "config.yaml").write_text(yaml.safe_dump(given.plain()), encoding="utf-8")
    with pytest.raises(UsageError, match="features that were computed elsewhere"):
        noisy(Run(tmp_path / "given"))


def test_other_recordings_another_model_or_a_folder_in_use_are_refused(
    toy_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(toy_folder, tmp_path / "corpus")
    table = ut.read("synthetic", tmp_path / "corpus").filter(pl.col("speaker").is_in(["01", "02", "03"]))
    recipe = recipes.load("functionals", {"features": {"name": "logmel"}, "head": QUICK})
    run = run_recipe(recipe, table, ut.protocol("group-3", table), tmp_path / "run")
    with locked(run.folder), pytest.raises(MachineError, match="in use"):
        noisy(run, ["white"])
    first, second = (tmp_path / "run" / "folds" / f"fold0{k}-seed0" / "model.npz" for k in (0, 1))
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    (first.parent / "digests.json").unlink()  # with it the other model would be known before it predicts
    with pytest.raises(DataError, match="predict otherwise than in the run"):
        noisy(run, ["white"], [20])
    first.write_bytes(kept)
    noisy(run, ["white"], [20])
    path = table["path"][0]
    wave, rate = soundfile.read(path)
    soundfile.write(path, 0.5 * wave, rate)
    with pytest.raises(DataError, match="no longer those of the run"):
        noisy(run, ["white"], [20])


def test_starting_a_run_again_takes_its_noise_away(toy: pl.DataFrame, tmp_path: Path) -> None:
    recipe = recipes.load("functionals", {"features": {"name": "logmel"}, "head": QUICK})
    options = {"table": toy, "protocol": ut.protocol("loso", toy), "out": tmp_path / "run", "only": [1]}
    noisy(run_recipe(recipe, **options), ["white"], [20])
    assert (tmp_path / "run" / "noise.json").is_file()
    run_recipe(recipe, **options, force=True)
    assert not list((tmp_path / "run").glob("noise.*"))
