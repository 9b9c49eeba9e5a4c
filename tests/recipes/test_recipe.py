"""Recipes are validated whole before any work, and every error names the field."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from unheard import protocols
from unheard.encoders import ENCODERS
from unheard.errors import UsageError
from unheard.features.functionals import Functionals
from unheard.features.opensmile import OpenSmile
from unheard.recipes import recipe
from unheard.recipes.changes import parse_changes


@pytest.mark.parametrize("name", recipe.names())
def test_every_recipe_of_the_package_is_valid_and_complete(name: str) -> None:
    stated = recipe.load(name)
    assert stated.recipe == name
    assert stated.protocol in protocols.names()
    # What is written out can be read in again and means the same.
    again = recipe.validate(yaml.safe_load(yaml.safe_dump(stated.plain())))
    assert again == stated
    assert again.settings_hash == stated.settings_hash


@pytest.mark.parametrize("name", [n for n in recipe.names() if n.endswith("-random")])
def test_a_random_control_differs_in_its_folds_alone(name: str) -> None:
    control, fair = recipe.load(name), recipe.load(name.removesuffix("-random"))
    assert control.settings_hash == fair.settings_hash
    twins = {
        "ravdess-split21": "ravdess-random6",
        "ravdess-balanced6": "ravdess-random6",
        "ravdess-article6": "ravdess-article-random6",
    }
    assert control.protocol == twins[fair.protocol]


def test_what_was_changed_stands_beside_what_the_recipe_has() -> None:
    plain = recipe.load("ravdess-probe-whisper-large-v3")
    assert plain.changed == {} and plain.changes() == []
    made = recipe.load(
        plain.recipe, {"encoder.model": "tiny", "protocol": "loso", "seeds": [3], "head.layers": "chosen"}
    )
    assert made.changed == {"inputs.voice.encoder.model": "openai/whisper-large-v3"}
    assert made.changes() == ["inputs.voice.encoder.model=tiny (the recipe has openai/whisper-large-v3)"]
    assert made.settings_hash == recipe.validate({**made.plain(), "changed": {}}).settings_hash
    # The folders of a machine do not go where results and bundles go.
    there = recipe.load(plain.recipe, {"encoder.model": "/home/anna/models/tiny"})
    assert there.changes() == made.changes()


def test_one_thing_can_be_changed_and_is_recorded() -> None:
    changed = recipe.load("functionals", parse_changes(["refit=val", "seeds=[1, 2]", "features.trim=40"]))
    assert (changed.refit, changed.seeds, (changed.inputs["voice"].features or {})["trim"]) == (
        "val",
        (1, 2),
        40,
    )
    assert changed.settings_hash != recipe.load("functionals").settings_hash


def test_numbers_with_commas_are_a_list() -> None:
    assert parse_changes(["seeds=0,1", "head.grid=0.01, 0.1", "refit=val"]) == {
        "seeds": [0, 1], "head.grid": [0.01, 0.1], "refit": "val",
    }  # fmt: skip
    assert recipe.load("functionals", parse_changes(["seeds=0,1"])).seeds == (0, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("refitt=val", "did you mean 'refit'"),
        ("refit=both", "refit"),
        ("head.name=prob", "probe"),
        ("head.dropuot=1", "dropuot"),
        ("features.name=egemap", "egemaps"),
        ("seeds=[]", "seeds"),
        ("seeds=0", r"seeds: expected a list \(found 0\)"),
        ("held_back=a,b", r"held_back: expected a list, such as \[a,b\] \(found 'a,b'\)"),
        ("head.grid=a,b", r"head.grid is 'a,b', expected a list.*, such as \[a,b\]"),
        ("target=none", r"target: expected a mapping of fields \(found 'none'\)"),
        ("seeds=[1, 1]", "same seed stands twice"),
        ("protocol.k=3", "of this recipe holds no settings"),
        ("refit", "field=value"),
    ],
)
def test_what_does_not_fit_is_named(change: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        recipe.load("functionals", parse_changes([change]))


def test_unknown_recipes_and_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'ravdess-egemaps"):
        recipe.load("ravdes-egemaps")
    with pytest.raises(UsageError, match="no such file"):
        recipe.load(tmp_path / "mine.yaml")
    mine = tmp_path / "mine.yaml"
    mine.write_text("- a list", encoding="utf-8")
    with pytest.raises(UsageError, match="mapping of fields"):
        recipe.load(mine)
    both = recipe.load("functionals").plain() | {"features": {"name": "mfbf0"}}
    mine.write_text(yaml.safe_dump(both), encoding="utf-8")
    with pytest.raises(UsageError, match="features is of the form before inputs"):
        recipe.load(mine)
    plain = recipe.load("functionals").plain() | {"recipe": "mine", "surprise": 1}
    mine.write_text(yaml.safe_dump(plain), encoding="utf-8")
    with pytest.raises(UsageError, match="surprise"):
        recipe.load(mine)


def test_the_settings_hash_holds_versions_of_our_code_and_of_no_library(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def hashes() -> list[str]:
        return [recipe.load(name).settings_hash for name in ("functionals", "probe", "egemaps")]

    before = hashes()
    monkeypatch.setattr(Functionals, "version", 99)
    monkeypatch.setattr(import_module(ENCODERS["wavlm"]), "VERSION", 99)
    monkeypatch.setattr(OpenSmile, "version", "99")
    assert [now == then for now, then in zip(hashes(), before, strict=True)] == [False, False, True]


def test_the_settings_hash_ignores_names_folds_and_seeds() -> None:
    plain = recipe.load("functionals").plain()
    other = recipe.validate({**plain, "recipe": "x", "protocol": "group-5", "seeds": [4], "about": "y"})
    assert other.settings_hash == recipe.load("functionals").settings_hash
    assert recipe.validate({**plain, "channel": 1}).settings_hash != other.settings_hash
    assert recipe.validate({**plain, "threads": 2}).settings_hash != other.settings_hash


def test_short_names_stand_for_the_one_input_that_has_them() -> None:
    changed = recipe.load("ravdess-box", {"encoder.model": "x", "features.hop": 0.01, "storage.average": 2})
    voice, functionals = changed.inputs["voice"], changed.inputs["functionals"]
    assert voice.encoder is not None
    assert functionals.features is not None
    assert voice.storage is not None
    assert (voice.encoder["model"], functionals.features["hop"], voice.storage.average) == ("x", 0.01, 2)
    assert changed == recipe.load(
        "ravdess-box",
        {
            "inputs.voice.encoder.model": "x",
            "inputs.functionals.features.hop": 0.01,
            "inputs.voice.storage.average": 2,
        },
    )


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("functionals", "encoder.model=x", "no input of this recipe has an encoder"),
        ("functionals", "layer=3", "no input of this recipe has an encoder"),
        ("functionals", "inputs.voise.layer=3", "did you mean 'voice'"),
        ("ravdess-box", "augment=[]", r"inputs\.voice\.augment or inputs\.functionals\.augment"),
        ("functionals", "store.type=int8", "unknown recipe field 'store'; did you mean 'storage'"),
    ],
)
def test_a_short_name_that_fits_no_input_or_several_is_refused(name: str, change: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        recipe.load(name, parse_changes([change]))


@pytest.mark.parametrize("target", [{"classes": "votes"}, {"classes": "none", "dimensions": ["valence"]}])
@pytest.mark.parametrize(
    "head", [{"name": "svm"}, {"name": "ensemble", "of": [{"name": "probe"}, {"name": "svm"}]}]
)
def test_what_the_head_cannot_learn_is_refused(head: dict[str, Any], target: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="the head 'svm' learns one class a clip"):
        recipe.load("functionals", {"head": head, "target": target})


def test_a_head_over_frames_is_refused_on_rows_before_any_work() -> None:
    with pytest.raises(UsageError, match="functionals have one row a clip"):
        recipe.load("functionals", {"head": {"name": "mean"}})
    assert (
        recipe.load("functionals", {"head": {"name": "mean"}, "features": {"name": "mfbf0"}}).head["name"]
        == "mean"
    )


def test_settings_of_adaptation_can_be_set_one_by_one() -> None:
    adapting = recipe.load("functionals", {"adapt.mean_prior": 3, "head.augmented": True})
    adapt = adapting.inputs["voice"].adapt
    assert adapt is not None and (adapt.mean_prior, adapt.variance_prior) == (3, 8)
    assert recipe.load("functionals").settings_hash != adapting.settings_hash
