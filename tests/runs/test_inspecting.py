"""From a recipe to what layers know: the encoder, the run it belongs to, and what cutting saves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

import unheard as ut
from unheard import encoders
from unheard.analysis.inspection import inspect, saving
from unheard.corpora.table import clips
from unheard.errors import UsageError
from unheard.protocols.fold import Protocol
from unheard.recipes.recipe import Recipe, validate
from unheard.runs.folder import Run, open_run

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def protocol(toy: pl.DataFrame) -> Protocol:
    return ut.protocol("loso", toy)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    from unheard.testing import toy_encoder

    weights = toy_encoder(tmp_path_factory.mktemp("weights") / "tiny", "wavlm")
    plain = {
        "recipe": "tiny", "about": "tiny", "protocol": "loso", "head": {"name": "probe"},
        "inputs": {"voice": {"encoder": {"name": "wavlm", "model": str(weights)}}},
    }  # fmt: skip
    return validate(plain)


def a_run(folder: Path, protocol_hash: str, sha256: str, weights: list[float]) -> Run:
    """Return what ``inspect`` reads of a run whose head learned layer weights."""
    fold = folder / "folds" / "fold00-seed0"
    fold.mkdir(parents=True)
    (folder / "config.yaml").write_text(
        yaml.safe_dump({"inputs": {"voice": {"encoder": {"sha256": sha256}}}}), encoding="utf-8"
    )
    scores = {
        "recipe": "tiny", "corpus": "synthetic", "protocol": "loso", "protocol_hash": protocol_hash,
        "settings_hash": "tiny", "refit": "none", "labels": [], "stamps": [], "seeds": [0],
        "metrics": {}, "folds": [],
        **dict.fromkeys(("n_train_speakers", "n_speakers", "n_clips", "n_folds"), 1),
    }  # fmt: skip
    (folder / "results.json").write_text(json.dumps(scores), encoding="utf-8")
    record = {"fold": 0, "seed": 0, "protocol_hash": protocol_hash, "n_train_speakers": 2}
    record["learned"] = {"layer_weights": weights}
    (fold / "fold.json").write_text(json.dumps(record), encoding="utf-8")
    return open_run(folder)


def test_a_run_with_learned_weights_stands_beside_if_it_is_of_the_same_folds_and_weights(
    recipe: Recipe, toy: pl.DataFrame, protocol: Protocol, tmp_path: Path
) -> None:
    loaded = encoders.load(recipe.inputs["voice"].encoder or {})
    sha256, count = loaded.settings["sha256"], len(loaded.layers)
    weights = [k + 1.0 for k in range(count)]
    finished = a_run(tmp_path / "finished", protocol.hash, sha256, weights)
    found = inspect(recipe, toy, protocol, run=finished, out=tmp_path / "out")
    assert [layer["weight"] for layer in found["layers"]] == weights
    assert found == json.loads((tmp_path / "out" / "layers.json").read_text(encoding="utf-8"))
    assert "learned weight" in (tmp_path / "out" / "layers.html").read_text(encoding="utf-8")
    assert found["n_unreadable"] == 0 and "RANDOM WEIGHTS" not in found["stamps"]
    other = a_run(tmp_path / "weights", protocol.hash, "other", weights)
    with pytest.raises(UsageError, match="was run with weights of sha256 other, these have"):
        inspect(recipe, toy, protocol, run=other)
    other = a_run(tmp_path / "folds", "another hash", sha256, weights)
    with pytest.raises(UsageError, match="was run on other folds than loso"):
        inspect(recipe, toy, protocol, run=other)


def test_recordings_of_the_test_and_validation_sides_are_not_opened(
    recipe: Recipe, toy: pl.DataFrame, protocol: Protocol
) -> None:
    fold = protocol.folds[0]
    away = toy.with_columns(
        path=pl.when(pl.col("id").is_in([*fold.val, *fold.test]))
        .then(pl.lit("gone.wav"))
        .otherwise(pl.col("path"))
    )
    found = inspect(recipe, away, protocol)
    assert found["n_unreadable"] == 0 and found["n_clips"] == len(fold.train)


def test_a_cut_saves_the_parameters_of_the_layers_above(recipe: Recipe, toy: pl.DataFrame) -> None:
    loaded: Any = encoders.load(recipe.inputs["voice"].encoder or {})
    last = len(loaded.layers) - 1
    chosen = clips(toy.head(2))
    assert saving(loaded.settings, last, last, chosen, False) is None
    assert saving({**loaded.settings, "model": ""}, 0, last, chosen, False) is None
    found = saving(loaded.settings, 1, last, chosen, False)
    assert found is not None and found["clips"] == 2 and found["seconds"]["cut"] > 0
    above = sum(p.numel() for layer in loaded.network.layers[1:] for p in layer.parameters())
    assert found["parameters"]["whole"] - found["parameters"]["cut"] >= above > 0
    assert found["multiply_adds"]["cut"] < found["multiply_adds"]["whole"]
