"""Runs on features from a file: the file is known by its content, and asked for where it is not named."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest
import yaml

import unheard as ut
from unheard.analysis.stored_results import store
from unheard.corpora.table import classes
from unheard.errors import UsageError
from unheard.recipes import recipe


@pytest.fixture
def units(toy: pl.DataFrame, tmp_path: Path) -> Path:
    """A table that gives the class away, so that a run on it must find it."""
    names = classes(toy)
    columns = {
        f"AU{k}": (toy["label"].cast(pl.String) == name).cast(pl.Float64) for k, name in enumerate(names)
    }
    path = tmp_path / "here" / "units.csv"
    path.parent.mkdir()
    pl.DataFrame({"id": toy["id"], **columns}).write_csv(path)
    return path


def test_a_table_of_units_is_run_and_kept_without_its_place(
    toy: pl.DataFrame, units: Path, tmp_path: Path
) -> None:
    changes = {"features.path": str(units), "corpus": "synthetic", "head.grid": [1.0], "held_back": []}
    run = ut.run("ravdess-face", toy, ut.protocol("group-3", toy), out=tmp_path / "run", changes=changes)
    assert run.scores["metrics"]["accuracy"]["pooled"] == 1
    config = yaml.safe_load((store(run, tmp_path / "results") / "config.yaml").read_text())
    assert config["inputs"]["face"]["features"]["path"] == "units.csv"
    assert config["inputs"]["face"]["features"]["sha256"]


def test_the_settings_hash_knows_the_content_and_not_the_place(units: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    moved = shutil.copy(units, tmp_path / "there" / "other.csv")
    here, there = (recipe.load("ravdess-face", {"features.path": str(path)}) for path in (units, moved))
    assert here.settings_hash == there.settings_hash
    Path(moved).write_text(units.read_text().replace("1.0", "2.0", 1))
    assert recipe.load("ravdess-face", {"features.path": str(moved)}).settings_hash != here.settings_hash


def test_a_recipe_whose_file_is_not_named_says_how_to_name_it(toy: pl.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"set features\.path=FILE"):
        ut.run(
            "ravdess-face", toy, ut.protocol("group-3", toy), out=tmp_path / "run", changes={"corpus": None}
        )
    assert not (tmp_path / "run").exists()
