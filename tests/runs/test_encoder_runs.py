"""Runs with a pretrained encoder: what heads learn from, what is chosen, stamps, what identifies a run."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import unheard as ut
from one_input import outputs_of
from unheard.corpora.table import clips
from unheard.errors import UsageError
from unheard.exporting.from_run import export
from unheard.extraction.extract import extract
from unheard.recipe_inputs.preparing import loaded, read_inputs
from unheard.recipes import recipe as recipes
from unheard.runs.fitting import fit_fold, load_head
from unheard.runs.folder import Run
from unheard.runs.run import run as run_recipe
from unheard.testing import toy_encoder

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_encoder(tmp_path_factory.mktemp("models") / "hubert", "hubert")


@pytest.fixture(scope="module")
def few(toy: pl.DataFrame) -> pl.DataFrame:
    return toy.filter(pl.col("speaker").is_in(["01", "02", "03"]))


def stated(model: Path, head: dict[str, Any], **more: Any) -> recipes.Recipe:
    encoder = {"name": "hubert", "model": str(model), **more.pop("encoder", {})}
    own = {key: more.pop(key) for key in ("layer", "storage", "augment") if key in more}
    return recipes.validate(
        {
            "recipe": "toy",
            "about": "toy",
            "protocol": "group-3",
            "inputs": {"voice": {"encoder": encoder, **own}},
            "head": head,
            **more,
        }
    )


def done(recipe: recipes.Recipe, table: pl.DataFrame, out: Path, **options: Any) -> Run:
    return run_recipe(recipe, table, ut.protocol("group-3", table), out, **options)


def test_a_probe_chooses_entry_and_c_in_each_fold(model: Path, toy: pl.DataFrame, tmp_path: Path) -> None:
    recipe = stated(model, {"name": "probe", "statistics": "mean", "grid": [0.01, 1.0], "folds": 2})
    run = done(recipe, toy, tmp_path / "run", jobs=2)
    for record in run.folds():
        assert set(record["chosen"]) == {"layer", "C"}
        assert record["chosen"]["layer"] in range(4)
        assert {row["layer"] for row in record["history"]} == {0, 1, 2, 3}
    assert run.predictions["logits"].null_count() == 0
    encoder = run.recipe.inputs["voice"].encoder
    assert encoder is not None
    assert len(encoder["sha256"]) == 64


def test_a_folds_score_does_not_change_with_jobs_or_where_the_weights_lie(
    model: Path, few: pl.DataFrame, tmp_path: Path
) -> None:
    head = {"name": "probe", "statistics": "mean", "grid": [0.01], "layers": "last"}
    first = done(stated(model, head), few, tmp_path / "a")
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for file in model.iterdir():
        (moved / file.name).write_bytes(file.read_bytes())
    second = done(stated(moved, head), few, tmp_path / "b", jobs=2)
    assert first.recipe.settings_hash == second.recipe.settings_hash
    assert first.predictions.equals(second.predictions)


def test_random_weights_are_stamped_and_are_another_system(
    model: Path, few: pl.DataFrame, tmp_path: Path
) -> None:
    head = {"name": "probe", "statistics": "mean", "grid": [0.01], "layers": "last"}
    run = done(stated(model, head, encoder={"weights": "shuffled"}), few, tmp_path / "run")
    assert "RANDOM WEIGHTS" in run.scores["stamps"]
    plain = done(stated(model, head), few, tmp_path / "plain")
    assert "RANDOM WEIGHTS" not in plain.scores["stamps"]
    assert run.recipe.settings_hash != plain.recipe.settings_hash


@pytest.mark.parametrize(
    "head",
    [
        {"name": "emobox", "epochs": 2},
        {"name": "weighted", "epochs": 2},
        {"name": "tcgru", "epochs": 2, "hidden": 8},
    ],
    ids=lambda head: head["name"],
)
def test_network_heads_learn_from_what_they_take(
    model: Path, few: pl.DataFrame, tmp_path: Path, head: dict[str, Any]
) -> None:
    run = done(stated(model, head), few, tmp_path / "run")
    assert run.predictions["logits"].null_count() == 0
    for record in run.folds():
        weights = record.get("learned", {}).get("layer_weights", [])
        assert len(weights) == (4 if head["name"] == "weighted" else 0)
        if weights:
            assert sum(weights) == pytest.approx(1, abs=1e-5)


def test_heads_over_frames_may_hear_their_training_clips_at_other_speeds(
    model: Path, few: pl.DataFrame, tmp_path: Path
) -> None:
    head = {"name": "mean", "epochs": 2, "patience": 2}
    said: list[str] = []
    plain = done(stated(model, head, layer="last"), few, tmp_path / "plain")
    run = done(
        stated(model, head, layer="last", augment=[{"speed": 0.8}, {"speed": 1.25}]),
        few,
        tmp_path / "run",
        say=said.append,
    )
    assert "at 0.8 times the speed:" in said
    assert run.recipe.settings_hash != plain.recipe.settings_hash
    assert run.predictions["logits"].null_count() == 0
    losses = [[r["train_loss"] for r in each.folds()[0]["history"]] for each in (plain, run)]
    assert losses[0] != losses[1]
    # All of it is stored: nothing is encoded again.
    heard = read_inputs(run.recipe, few, say=lambda text: pytest.fail(text) if "clips:" in text else None)
    slow, fast = heard.augmented["voice"]
    for clip, frames in heard.inputs["voice"].items():
        assert len(slow[clip]) == pytest.approx(len(frames) / 0.8, abs=2)
        assert len(fast[clip]) == pytest.approx(len(frames) / 1.25, abs=2)


@pytest.mark.parametrize(
    ("head", "speeds", "said"),
    [
        ({"name": "probe"}, [0.9], "learns from each clip more than once"),
        ({"name": "mean"}, [1.0], "without 1"),
        ({"name": "mean"}, [0.9, 0.9], "the same speed stands twice"),
        ({"name": "mean"}, [3], "0.5 to 2"),
    ],
)
def test_speeds_that_cannot_be_heard_are_refused(
    model: Path, head: dict[str, Any], speeds: list[float], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        stated(model, head, augment=[{"speed": speed} for speed in speeds])


COLOURED, BABBLE = {"noise": "coloured", "snr": [0, 20]}, {"noise": "babble", "snr": [-5, 0]}


@pytest.mark.slow
def test_heads_over_frames_may_hear_their_training_clips_in_noise(
    model: Path, few: pl.DataFrame, tmp_path: Path
) -> None:
    head = {"name": "mean", "epochs": 2, "patience": 2}
    said: list[str] = []
    plain = done(stated(model, head, layer="last"), few, tmp_path / "plain")
    noisy = stated(model, head, layer="last", augment=[{"speed": 0.8}, COLOURED, COLOURED, BABBLE])
    run = done(noisy, few, tmp_path / "run", say=said.append)
    told = [text for text in said if text.endswith(":") and "\n" not in text]
    assert told == [
        "at 0.8 times the speed:",
        *["in coloured noise, 0 to 20 dB:"] * 2,
        "in a babble of synthetic voices, -5 to 0 dB:",
    ]
    assert run.recipe.settings_hash != plain.recipe.settings_hash
    assert run.predictions["logits"].null_count() == 0
    # All of it is stored: nothing is encoded again.
    heard = read_inputs(run.recipe, few, say=lambda text: pytest.fail(text) if "clips:" in text else None)
    assert len(heard.augmented["voice"]) == 4
    for clip, frames in heard.inputs["voice"].items():
        arrays = [frames, *(noise[clip] for noise in heard.augmented["voice"][1:])]
        assert len({len(array) for array in arrays}) == 1
        assert not any(np.allclose(one, other) for one, other in combinations(arrays, 2))
    # What is asked of the noisy run's heads is clean: their own predictions for the clean features.
    fold = run.protocol.folds[0]
    for part in (fold.val, fold.test):
        predicted = run.predictions.filter((pl.col("fold") == 0) & pl.col("id").is_in(list(part)))
        logits = outputs_of(
            load_head(run, run.recipe, run.folds()[0]),
            [heard.inputs["voice"][i] for i in predicted["id"]],
        )
        np.testing.assert_allclose(logits, np.array(predicted["logits"].to_list()), atol=1e-5)


@pytest.mark.slow
def test_an_ensemble_learns_from_two_inputs_and_their_augmentations(
    model: Path, few: pl.DataFrame, tmp_path: Path
) -> None:
    plain = stated(model, {"name": "mean"}, layer="last", augment=[{"speed": 0.8}, COLOURED]).plain()
    plain["inputs"]["functionals"] = {
        "features": {"name": "functionals", "trim": 30},
        "augment": plain["inputs"]["voice"]["augment"],
    }
    plain["head"] = {
        "name": "ensemble",
        "of": [
            {"name": "probe", "input": "functionals", "augmented": True, "grid": [0.01]},
            {"name": "mean", "input": "voice", "epochs": 1, "patience": 1},
        ],
    }
    run = done(recipes.validate(plain), few, tmp_path / "run")
    assert run.predictions["logits"].null_count() == 0
    found = read_inputs(run.recipe, few)
    assert {name: len(several) for name, several in found.augmented.items()} == {"voice": 2, "functionals": 2}
    clip = few["id"][0]
    rows = [found.inputs["functionals"][clip], *(each[clip] for each in found.augmented["functionals"])]
    assert not any(np.allclose(one, other) for one, other in combinations(rows, 2))
    bundle = ut.load(export(run, tmp_path / "bundle", fold=0))
    test = run.predictions.filter(pl.col("part") == "test")
    tested, due = test.filter(pl.col("fold") == 0).select("id", "probabilities").row(0)
    path = few.filter(pl.col("id") == tested)["path"][0]
    prediction = bundle.predict_file(path)
    np.testing.assert_allclose(list(prediction.probabilities.values()), due, atol=1e-3)


class Untouched(dict[str, np.ndarray]):
    """Variants, of which those of some clips must not be looked up."""

    def __init__(self, found: dict[str, np.ndarray], forbidden: set[str]) -> None:
        super().__init__(found)
        self.forbidden, self.asked = forbidden, set[str]()

    def __getitem__(self, clip: str) -> np.ndarray:
        assert clip not in self.forbidden
        self.asked.add(clip)
        return super().__getitem__(clip)


@pytest.mark.parametrize("refit", ["none", "val"])
def test_only_clips_that_are_trained_on_are_heard_in_noise(
    model: Path, few: pl.DataFrame, refit: str
) -> None:
    recipe = stated(model, {"name": "mean", "epochs": 6}, layer="last", augment=[COLOURED], refit=refit)
    recipe, _ = loaded(recipe)
    prepared = read_inputs(recipe, few)
    protocol = ut.protocol("group-3", few)
    fold = protocol.folds[0]
    forbidden = {*fold.test, *(fold.val if refit == "none" else ())}
    variant = Untouched(dict(prepared.augmented["voice"][0]), forbidden)
    fit_fold(
        recipe, few, protocol, prepared.inputs, augmented={"voice": (variant,)}, number=0, seed=0, data_hash="",
    )  # fmt: skip
    assert variant.asked & set(fold.train)


@pytest.mark.parametrize(
    ("head", "noises", "said"),
    [
        ({"name": "probe"}, [COLOURED], "augment needs a head that learns from each clip more than once"),
        ({"name": "weighted"}, [COLOURED], "augment is for heads on one layer"),
        (
            {"name": "mean"},
            [[0, 20]],
            r"a noise \(white, pink, coloured, babble\).*{noise: coloured, snr: \[0, 20\]}.* \(found",
        ),
        ({"name": "mean"}, COLOURED, "an augmentation is"),
        ({"name": "mean"}, 10, "an augmentation is"),
        ({"name": "mean"}, [{"noise": "brown", "snr": [0, 20]}], "coloured, babble"),
        ({"name": "mean"}, [{"noise": ["babble"], "snr": [0, 20]}], "coloured, babble"),
        ({"name": "mean"}, [{"noise": "babble"}], "an augmentation is"),
        ({"name": "mean"}, [{**BABBLE, "people": 3}], "an augmentation is"),
        ({"name": "mean"}, [{"noise": "babble", "snr": 10}], "an augmentation is"),
        ({"name": "mean"}, [{"noise": "babble", "snr": [20, 0]}], "the smallest first"),
        ({"name": "mean"}, [{"noise": "coloured", "snr": [-21, 0]}], "within -20 to 60"),
        ({"name": "mean"}, [{"noise": "coloured", "snr": [0, 61]}], "within -20 to 60"),
        ({"name": "mean"}, [{"noise": "babble", "snr": [0, float("nan")]}], "within -20 to 60"),
    ],
)
def test_noises_that_cannot_be_added_are_refused(
    model: Path, head: dict[str, Any], noises: Any, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        stated(model, head, augment=noises)


def test_precomputed_features_cannot_be_augmented() -> None:
    plain = recipes.load("ravdess-face").plain()
    plain["inputs"]["face"]["augment"] = [COLOURED]
    with pytest.raises(UsageError, match="precomputed features have none"):
        recipes.validate(plain)


def test_each_augmentation_makes_another_system(model: Path) -> None:
    head = {"name": "mean", "epochs": 2}
    slow = {"speed": 0.9}
    hashes = [
        stated(model, head, layer="last", augment=augment).settings_hash
        for augment in (
            [slow],
            [slow, COLOURED],
            [slow, COLOURED, COLOURED],
            [slow, {**COLOURED, "snr": [0, 10]}],
            [slow, {**BABBLE, "snr": [0, 10]}],
        )
    ]
    assert len(set(hashes)) == 5
    again = stated(model, head, layer="last", augment=[slow, {**COLOURED, "snr": [0.0, 20.0]}])
    assert again.settings_hash == hashes[1]


def test_the_salient_layer_is_chosen_in_each_fold_and_the_encoder_cut_there(
    model: Path, few: pl.DataFrame, tmp_path: Path
) -> None:
    run = done(stated(model, {"name": "emobox", "epochs": 1}, layer="salient"), few, tmp_path / "run")
    assert all(record["chosen"]["voice.layer"] in range(4) for record in run.folds())


def test_fine_tuning_runs_from_waveforms(model: Path, few: pl.DataFrame, tmp_path: Path) -> None:
    recipe = stated(
        model, {"name": "emobox"}, training={"tune": "top 1", "epochs": 1, "patience": 1, "longest": 1.0}
    )
    run = done(recipe, few, tmp_path / "run", only=[0])
    assert run.predictions["logits"].null_count() == 0
    assert not (tmp_path / "run" / "checkpoints" / "fold00-seed0").exists()


def test_resumed_without_weights_where_everything_is_stored(
    model: Path, few: pl.DataFrame, tmp_path: Path
) -> None:
    recipe = stated(model, {"name": "probe", "statistics": "mean", "grid": [0.01], "layers": "last"})
    run = done(recipe, few, tmp_path / "run")
    (tmp_path / "run" / "folds" / "fold01-seed0" / "fold.json").unlink()
    again = done(recipe, few, tmp_path / "run", resume=True)
    assert again.predictions.equals(run.predictions)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"features": {"name": "functionals"}}, "either features or an encoder"),
        ({"encoder": {"name": "hubbert"}}, "did you mean 'hubert'"),
        ({"encoder": {"name": "hubert", "mdel": "x"}}, "did you mean 'model'"),
        ({"layer": 3}, "heads on the frames of one layer"),
        ({"storage": {"type": "int4"}}, "inputs.voice.storage.type"),
    ],
)
def test_an_input_is_checked_whole(wrong: dict[str, Any], message: str) -> None:
    good = {
        "recipe": "toy",
        "about": "",
        "protocol": "loso",
        "inputs": {"voice": {"encoder": {"name": "hubert"}}},
        "head": {"name": "probe"},
    }
    recipes.validate(good)
    with pytest.raises(UsageError, match=message):
        recipes.validate({**good, "inputs": {"voice": {"encoder": {"name": "hubert"}, **wrong}}})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"inputs": {}}, "inputs"),
        ({"training": {"tunes": "all"}}, "did you mean 'tune'"),
        ({"head": {"name": "probe", "input": "voise"}}, "did you mean 'voice'"),
        ({"target": {"classes": "none"}}, "classes, dimensions or both"),
        ({"target": {"classes": "lable"}}, "target.classes"),
    ],
)
def test_a_recipe_is_checked_whole(wrong: dict[str, Any], message: str) -> None:
    good = stated(Path("weights"), {"name": "probe"}).plain()
    with pytest.raises(UsageError, match=message):
        recipes.validate({**good, **wrong})


def test_several_inputs_are_told_apart() -> None:
    box = recipes.load("ravdess-box").plain()
    assert recipes.validate(box).form("voice") == "frames"
    with pytest.raises(UsageError, match=r"name one with head\.input"):
        recipes.validate({**box, "head": {"name": "probe"}})
    with pytest.raises(UsageError, match="functionals: no head takes it"):
        recipes.validate({**box, "head": {"name": "mean", "input": "voice"}})
    own = {key: value for key, value in box["inputs"]["voice"].items() if key != "augment"}
    with pytest.raises(UsageError, match="augmented alike"):
        recipes.validate({**box, "inputs": {**box["inputs"], "voice": own}})


def test_weights_must_be_named_before_any_work(few: pl.DataFrame, tmp_path: Path) -> None:
    recipe = recipes.load("ravdess-probe-fsmn", {"corpus": None})
    with pytest.raises(UsageError, match="--weights"):
        done(recipe, few, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_was_extracted_is_not_computed_again(model: Path, few: pl.DataFrame, tmp_path: Path) -> None:
    settings = {"name": "hubert", "model": str(model), "trim": 35.0}
    plans: list[str] = []
    extract(clips(few), settings, say=plans.append)
    assert plans
    plans.clear()
    head = {"name": "probe", "statistics": "mean", "grid": [0.01], "layers": "last"}
    done(stated(model, head, encoder={"trim": 35.0}), few, tmp_path / "run", only=[0], say=plans.append)
    assert plans == []


def test_stored_results_do_not_say_where_weights_lay(model: Path, few: pl.DataFrame, tmp_path: Path) -> None:
    from unheard.analysis.stored_results import store

    recipe = stated(model, {"name": "probe", "statistics": "mean", "grid": [0.01], "layers": "last"})
    kept = store(done(recipe, few, tmp_path / "run"), tmp_path / "results")
    said = (kept / "config.yaml").read_text()
    assert str(model.parent) not in said
    assert "model: hubert" in said
    assert str(model.parent) not in json.dumps(json.loads((kept / "results.json").read_text()))


def test_weights_are_loaded_and_hashed_once_and_workers_need_none(
    few: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unheard import encoders
    from unheard.encoders import checkpoint
    from unheard.extraction import store

    place = toy_encoder(tmp_path / "weights", "hubert")
    counts = {"loads": 0, "hashes": 0, "checks": 0}

    def counted(name: str, function: Any, of: Any = None) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            counts[name] += 1 if of is None else len(of(*arguments))
            return function(*arguments, **options)

        return call

    monkeypatch.setattr(encoders, "load", counted("loads", encoders.load))
    monkeypatch.setattr(checkpoint, "sha256", counted("hashes", checkpoint.sha256))
    monkeypatch.setattr(store, "intact", counted("checks", store.intact, lambda path, places: places))
    monkeypatch.setenv("UNHEARD_CACHE", str(tmp_path / "cache"))
    recipe = stated(place, {"name": "mean", "epochs": 2}, layer="salient", augment=[{"speed": 0.9}])

    def take_away(stage: str, finished: int, _: int) -> None:
        if stage == "folds" and finished == 0:
            place.rename(tmp_path / "away")  # whoever loads or hashes it from now on fails

    run = done(recipe, few, tmp_path / "first", progress=take_away)
    assert run.predictions["logits"].null_count() == 0
    assert (counts["loads"], counts["hashes"]) == (1, 1)
    assert not (run.folder / "extracted").exists()
    (tmp_path / "away").rename(place)
    counts["checks"] = 0
    again = done(recipe, few, tmp_path / "second")
    assert (counts["loads"], counts["hashes"]) == (2, 2)
    layers = {record["chosen"]["voice.layer"] for record in again.folds()}
    # Statistics and the frames of each chosen layer, at either speed: each clip that is stored is read once.
    assert counts["checks"] <= 2 * (1 + len(layers)) * len(few)
    assert [p.name for p in (tmp_path / "cache" / "store").iterdir()]


@pytest.mark.parametrize("classes", ["votes", "none"])
def test_the_salient_layer_is_that_of_the_recipes_target(
    model: Path, few: pl.DataFrame, tmp_path: Path, classes: str
) -> None:
    votes = [[{"grader": "a", "label": label, "weight": 1.0}] for label in few["label"].cast(pl.String)]
    place = few["label"].to_physical().to_list()
    graded = few.with_columns(
        pl.Series("votes", votes, dtype=few.schema["votes"]),
        valence=pl.Series([None if i % 5 == 0 else x / 10 for i, x in enumerate(place)], dtype=pl.Float64),
    )
    if classes == "none":
        graded = graded.with_columns(pl.lit(None, dtype=pl.Enum([])).alias("label"))
    else:
        graded = graded.with_columns(pl.lit(None, dtype=few.schema["label"]).alias("label"))
    recipe = stated(
        model,
        {"name": "emobox", "epochs": 1},
        layer="salient",
        target={"classes": classes, "dimensions": ["valence"]},
    )
    folds = ut.protocol("group-3", graded, classes=classes, dimensions=["valence"])
    run = run_recipe(recipe, graded, folds, tmp_path / "run")
    assert all(record["chosen"]["voice.layer"] in range(4) for record in run.folds())
