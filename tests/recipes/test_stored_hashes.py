"""Every stored result was made with the settings that its recipe states."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
import yaml

from unheard.recipes.recipe import validate

RESULTS = Path(__file__).parents[2] / "results"
FOLDERS = sorted(file.parent for file in RESULTS.rglob("config.yaml") if "\nhead:" in file.read_text())


@pytest.mark.skipif(not FOLDERS, reason="the stored results are in the repository alone")
def test_stored_results_have_the_hash_of_their_recipe() -> None:
    for folder in FOLDERS:
        stated = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
        for own in stated["inputs"].values():
            if "path" in own.get("features", {}):
                own["features"]["path"] = ""  # the file itself is not kept; its digest is
        due = validate(stated).settings_hash
        for name in ("results.json", "provenance.json", "noise.json"):
            if (folder / name).is_file():
                found = json.loads((folder / name).read_text(encoding="utf-8"))["settings_hash"]
                assert found == due, folder / name
        if (folder / "predictions.parquet").is_file():
            rows = pl.read_parquet(folder / "predictions.parquet", columns=["settings_hash"])
            assert rows["settings_hash"].unique().to_list() == [due], folder
