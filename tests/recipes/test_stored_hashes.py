"""Every stored result was made with the settings that its recipe states, which is the package's of that name."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from unheard.recipes import recipe
from unheard.recipes.changes import differences
from unheard.recipes.recipe import validate

RESULTS = Path(__file__).parents[2] / "results"
FOLDERS = sorted(file.parent for file in RESULTS.rglob("config.yaml") if "\nhead:" in file.read_text())
#: What a run adds to its recipe: the weights or file that it was given, and whether it was refitted (``+val``).
GIVEN = re.compile(r"refit|inputs\.\w+\.(encoder\.(model|sha256|cut)|features\.(path|sha256))")


def stated(folder: Path) -> dict[str, Any]:
    """Return the stored recipe; files of features are not kept, their digests are."""
    plain: dict[str, Any] = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    for own in plain["inputs"].values():
        if "path" in own.get("features", {}):
            own["features"]["path"] = ""
    return plain


@pytest.mark.skipif(not FOLDERS, reason="the stored results are in the repository alone")
def test_stored_results_have_the_hash_of_their_recipe() -> None:
    for folder in FOLDERS:
        due = validate(stated(folder)).settings_hash
        for name in ("results.json", "provenance.json", "noise.json"):
            if (folder / name).is_file():
                found = json.loads((folder / name).read_text(encoding="utf-8"))["settings_hash"]
                assert found == due, folder / name
        if (folder / "predictions.parquet").is_file():
            rows = pl.read_parquet(folder / "predictions.parquet", columns=["settings_hash"])
            assert rows["settings_hash"].unique().to_list() == [due], folder


@pytest.mark.skipif(not FOLDERS, reason="the stored results are in the repository alone")
def test_the_recipe_of_the_package_makes_the_stored_result_again() -> None:
    shipped = [folder for folder in FOLDERS if folder.parent.name in recipe.names()]
    assert sum(folder.parent.name.startswith("emotale-") for folder in shipped) == 11
    for folder in shipped:
        made, named = validate(stated(folder)), recipe.load(folder.parent.name)
        differ = differences(named.plain(), made.plain())
        odd = {field for field in differ if not GIVEN.fullmatch(field) and field not in made.changed}
        assert odd <= {"about"}, (folder, odd)
        # Where a recipe says at which layer to cut, that is no matter of the weights.
        assert all(before is None for field, before in differ.items() if field.endswith(".cut")), folder
