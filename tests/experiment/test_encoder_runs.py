"""Runs with a pretrained encoder: what heads learn from, what is chosen, stamps, what identifies a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import unheard as ut
from unheard.encoders.extract import Keep, extract
from unheard.errors import UsageError
from unheard.experiment import recipe as recipes
from unheard.experiment.folder import Run
from unheard.experiment.preparing import read_features
from unheard.experiment.run import run as run_recipe
from unheard.features.extract import ClipRef
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
    return recipes.validate(
        {"recipe": "toy", "about": "toy", "protocol": "group-3", "encoder": encoder, "head": head, **more}
    )


def done(recipe: recipes.Recipe, table: pl.DataFrame, out: Path, **options: Any) -> Run:
    return run_recipe(recipe, table, ut.protocol("group-3", table), out, **options)


def test_a_probe_chooses_entry_and_c_in_each_fold(model: Path, toy: pl.DataFrame, tmp_path: Path) -> None:
    recipe = stated(model, {"name": "probe", "statistics": "mean", "grid": [0.01, 1.0], "folds": 2})
    run = done(recipe, toy, tmp_path / "run", jobs=2)
    for record in run.folds():
        assert set(record["chosen"]) == {"entry", "C"}
        assert record["chosen"]["entry"] in range(4)
        assert {row["entry"] for row in record["history"]} == {0, 1, 2, 3}
    assert run.predictions["logits"].null_count() == 0
    assert run.recipe.encoder is not None
    assert len(run.recipe.encoder["sha256"]) == 64


def test_a_folds_score_does_not_change_with_jobs_or_where_the_weights_lie(
    model: Path, few: pl.DataFrame, tmp_path: Path
) -> None:
    head = {"name": "probe", "statistics": "mean", "grid": [0.01], "entries": "last"}
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
    head = {"name": "probe", "statistics": "mean", "grid": [0.01], "entries": "last"}
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
    run = done(stated(model, head, layer="last", speeds=[0.8, 1.25]), few, tmp_path / "run", say=said.append)
    assert "at 0.8 times the speed:" in said
    assert run.recipe.settings_hash != plain.recipe.settings_hash
    assert run.predictions["logits"].null_count() == 0
    losses = [[r["train_loss"] for r in each.folds()[0]["history"]] for each in (plain, run)]
    assert losses[0] != losses[1]
    # All of it is stored: nothing is encoded again.
    heard = read_features(run.recipe, few, say=lambda text: pytest.fail(text) if "clips:" in text else None)
    slow, fast = heard.variants
    for clip, frames in heard.features.items():
        assert len(slow[clip]) == pytest.approx(len(frames) / 0.8, abs=2)
        assert len(fast[clip]) == pytest.approx(len(frames) / 1.25, abs=2)


@pytest.mark.parametrize(
    ("head", "speeds", "said"),
    [
        ({"name": "probe"}, [0.9], "frames of one entry"),
        ({"name": "mean"}, [1.0], "without 1"),
        ({"name": "mean"}, [0.9, 0.9], "different"),
        ({"name": "mean"}, [3], "0.5 to 2"),
    ],
)
def test_speeds_that_cannot_be_heard_are_refused(
    model: Path, head: dict[str, Any], speeds: list[float], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        stated(model, head, speeds=speeds)


def test_the_salient_layer_is_chosen_in_each_fold_and_the_encoder_cut_there(
    model: Path, few: pl.DataFrame, tmp_path: Path
) -> None:
    run = done(stated(model, {"name": "emobox", "epochs": 1}, layer="salient"), few, tmp_path / "run")
    assert all(record["chosen"]["layer"] in range(4) for record in run.folds())


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
    recipe = stated(model, {"name": "probe", "statistics": "mean", "grid": [0.01], "entries": "last"})
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
        ({"layer": 3}, "heads on the frames of one entry"),
        ({"training": {"tunes": "all"}}, "did you mean 'tune'"),
        ({"store": {"type": "int4"}}, "store.type"),
    ],
)
def test_a_recipe_is_checked_whole(wrong: dict[str, Any], message: str) -> None:
    good = {
        "recipe": "toy",
        "about": "",
        "protocol": "loso",
        "encoder": {"name": "hubert"},
        "head": {"name": "probe"},
    }
    recipes.validate(good)
    with pytest.raises(UsageError, match=message):
        recipes.validate({**good, **wrong})


def test_weights_must_be_named_before_any_work(few: pl.DataFrame, tmp_path: Path) -> None:
    recipe = recipes.load("ravdess-probe-fsmn", {"corpus": None})
    with pytest.raises(UsageError, match="--weights"):
        done(recipe, few, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_was_extracted_is_not_computed_again(model: Path, few: pl.DataFrame, tmp_path: Path) -> None:
    clips = [ClipRef(*row) for row in few.select("id", "path", "start", "end").iter_rows()]
    settings = {"name": "hubert", "model": str(model), "trim": 35.0}
    plans: list[str] = []
    extract(clips, settings, Keep("pooled"), say=plans.append)
    assert plans
    plans.clear()
    head = {"name": "probe", "statistics": "mean", "grid": [0.01], "entries": "last"}
    done(stated(model, head, encoder={"trim": 35.0}), few, tmp_path / "run", only=[0], say=plans.append)
    assert plans == []


def test_stored_results_do_not_say_where_weights_lay(model: Path, few: pl.DataFrame, tmp_path: Path) -> None:
    from unheard.experiment.stored import store

    recipe = stated(model, {"name": "probe", "statistics": "mean", "grid": [0.01], "entries": "last"})
    kept = store(done(recipe, few, tmp_path / "run"), tmp_path / "results")
    said = (kept / "config.yaml").read_text()
    assert str(model.parent) not in said
    assert "model: hubert" in said
    assert str(model.parent) not in json.dumps(json.loads((kept / "results.json").read_text()))
