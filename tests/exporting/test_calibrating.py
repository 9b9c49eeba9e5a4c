"""By which predictions the temperature and the threshold of a bundle are chosen."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from unheard.exporting.retraining import calibrating


def run_on(protocol: str) -> Any:
    """Two folds, each with a validation and a test clip, and a test clip without a prediction."""
    rows = [(fold, part, f"{part}{fold}", [1.0, 0.0]) for fold in (0, 1) for part in ("val", "test")]
    schema = {"fold": pl.Int64, "part": pl.String, "id": pl.String, "logits": pl.List(pl.Float64)}
    table = pl.DataFrame([*rows, (1, "test", "lost", None)], schema=schema, orient="row")
    return SimpleNamespace(predictions=table, protocol=SimpleNamespace(name=protocol))


@pytest.mark.parametrize(
    ("protocol", "fold", "ids"),
    [
        ("loso", None, ["val0", "val1"]),
        ("loso", 1, ["val1"]),
        # Of all corpora: what was left out, and never a clip that could not be predicted.
        ("leave-corpus", None, ["test0", "test1"]),
        # One fold's own model is scored on what was left out, so that chooses nothing for it.
        ("leave-corpus", 1, ["val1"]),
    ],
)
def test_clips_of_another_corpus_calibrate_what_learned_from_all(
    protocol: str, fold: int | None, ids: list[str]
) -> None:
    assert calibrating(run_on(protocol), fold)["id"].to_list() == ids
