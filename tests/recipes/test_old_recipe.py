"""Recipes in the form without named inputs mean what they meant."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import yaml

from unheard import heads
from unheard.errors import UsageError
from unheard.recipes import recipe
from unheard.recipes.old_recipe import modern, modern_choice, modern_state
from unheard.training.examples import labelled

PLAIN: dict[str, Any] = {"recipe": "toy", "about": "", "protocol": "loso"}
ENCODER = {"name": "hubert", "model": "x"}


def test_features_and_an_encoder_become_the_input_voice() -> None:
    old = recipe.validate({**PLAIN, "features": {"name": "functionals"}, "head": {"name": "probe"}})
    new = recipe.validate(
        {**PLAIN, "inputs": {"voice": {"features": {"name": "functionals"}}}, "head": {"name": "probe"}}
    )
    assert old == new
    old = recipe.validate(
        {
            **PLAIN,
            "features": None,
            "encoder": {**ENCODER, "beside": None},
            "layer": "last",
            "store": {"type": "float32", "average": 2},
            "speeds": [0.9],
            "noises": [{"kind": "voices", "snr": [0, 20]}],
            "training": None,
            "head": {"name": "mean"},
        }
    )
    voice = {
        "encoder": ENCODER,
        "layer": "last",
        "storage": {"type": "float32", "average": 2},
        "augment": [{"speed": 0.9}, {"noise": "babble", "snr": [0, 20]}],
    }
    assert old == recipe.validate({**PLAIN, "inputs": {"voice": voice}, "head": {"name": "mean"}})


def test_precomputed_features_become_the_input_face() -> None:
    old = {**PLAIN, "features": {"name": "precomputed", "path": ""}, "head": {"name": "probe"}}
    assert list(recipe.validate(old).inputs) == ["face"]


def test_the_default_model_in_the_old_form_is_the_one_of_the_package() -> None:
    old = """
        recipe: ravdess-box
        about: toy
        protocol: loso
        encoder: {name: onnx, trim: [40, 10], beside: {name: functionals, hop: 0.02}}
        layer: last
        store: {type: float32}
        speeds: [0.9, 1.1]
        noises: [{kind: coloured, snr: [0, 20]}, {kind: voices, snr: [0, 20]}]
        head:
          name: committee
          members:
            - {name: probe, statistics: mean, dims: [1000, 1590], variants: true}
            - {name: convolutional, dims: [0, 1000], epochs: 15, patience: 15, mixup: 0.5, precision: bfloat16}
            - {name: convolutional, dims: [0, 1000], epochs: 15, patience: 15, mixup: 0.5, precision: bfloat16}
        calibration: free
    """
    now, then = recipe.load("ravdess-box"), recipe.validate(yaml.safe_load(old))
    assert then.inputs == now.inputs
    assert then.settings_hash == now.settings_hash


def test_an_ensemble_went_on_with_the_frames_of_the_last_layer() -> None:
    head = {"name": "committee", "members": [{"name": "probe"}, {"name": "svm"}]}
    old = recipe.validate({**PLAIN, "encoder": ENCODER, "head": head})
    assert (old.inputs["voice"].layer, old.form("voice")) == ("last", "frames")


@pytest.mark.parametrize(
    "head",
    [
        {"name": "mean"},
        {"name": "committee", "members": [{"name": "mean"}, {"name": "probe"}]},
        {"name": "committee", "members": [{"name": "mean", "dims": [0, 9]}, {"name": "probe"}]},
    ],
)
def test_joined_frames_under_one_head_are_refused(head: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="name"):
        modern({**PLAIN, "encoder": {**ENCODER, "beside": "functionals"}, "head": head})


def test_what_is_wrong_in_the_old_form_is_named_in_the_new_one() -> None:
    with pytest.raises(UsageError, match="did you mean 'hubert'"):
        recipe.validate({**PLAIN, "encoder": {"name": "hubbert"}, "head": {"name": "probe"}})
    with pytest.raises(UsageError, match="an augmentation is"):
        recipe.validate({**PLAIN, "encoder": ENCODER, "speeds": 3, "head": {"name": "mean"}})


def test_what_folds_chose_has_todays_names() -> None:
    assert modern_choice({"C": 0.1, "entry": 3}, {"encoder": ENCODER}) == {"C": 0.1, "layer": 3}
    assert modern_choice({"1.entry": 3, "2.epochs": 4}, {}) == {"1.layer": 3, "2.epochs": 4}
    assert modern_choice({"layer": 3, "epochs": 2}, {"layer": "salient"}) == {"voice.layer": 3, "epochs": 2}
    today = {"voice.layer": 3, "C": 1.0, "layer": 2}
    assert modern_choice(today, {"inputs": {}}) == today


def test_the_state_of_a_linear_head_from_then_is_read() -> None:
    rng = np.random.default_rng(0)
    clips = [rng.standard_normal((3, 2, 4)).astype(np.float32) for _ in range(12)]
    speakers = np.array([str(number % 4) for number in range(12)])
    rows = labelled({"voice": clips}, [number % 2 for number in range(12)], speakers, ["a", "b"])
    head = heads.build({"name": "probe", "grid": [1.0], "layers": "last"}).fit(rows)
    state = head.state()
    then = {("entries_" if name == "layers_" else name): array for name, array in state.items()}
    del then["classes_"]
    settings = json.loads(str(state["settings"]))
    old = {"layers": "entries", "augmented": "variants"}
    then["settings"] = np.array(
        json.dumps({old.get(key, key): value for key, value in settings.items() if key != "input"})
    )
    again = type(head).from_state(modern_state(then))
    np.testing.assert_array_equal(again.outputs({"voice": clips}), head.outputs({"voice": clips}))
    assert {name: str(array) for name, array in modern_state(state).items()} == {
        name: str(array) for name, array in state.items()
    }
