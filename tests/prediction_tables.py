"""Small prediction tables, built the same way in every test of metrics and comparisons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from unheard.predictions.table import predictions

CLASSES = ("neutral", "happy", "sad")


def table_of(rows: list[dict[str, Any]], classes: tuple[str, ...] = CLASSES, **constant: Any) -> pl.DataFrame:
    """Rows with ``predicted`` (a class name, or None) become certain probabilities; other columns stay."""
    full = []
    for row in rows:
        new = {
            "protocol": "toy",
            "protocol_hash": "h0",
            "system": "toy",
            "part": "test",
            "fold": 0,
            "seed": 0,
            **constant,
            **row,
        }
        if "predicted" in new:
            predicted = new.pop("predicted")
            new["probabilities"] = None if predicted is None else [float(c == predicted) for c in classes]
        full.append(new)
    return predictions(pl.DataFrame(full, infer_schema_length=None), classes)


def random_table(
    seed: int,
    speakers: int = 12,
    clips: int = 20,
    seeds: int = 2,
    folds: int = 3,
    skill: float = 1.0,
    silent: float = 0.0,
    system: str = "toy",
    **constant: Any,
) -> pl.DataFrame:
    """A random system: the same clips for the same sizes, other predicted for another ``seed``."""
    fixed, rng = np.random.default_rng(0), np.random.default_rng([1, seed])
    rows = []
    for s in range(speakers):
        labels = fixed.integers(0, len(CLASSES), clips)
        talent = skill + 0.7 * rng.normal()
        for k in range(seeds):
            for i, label in enumerate(labels):
                z = rng.normal(size=len(CLASSES))
                z[label] += talent
                rows.append(
                    {
                        "fold": s % folds,
                        "seed": k,
                        "id": f"s{s:03d}-{i:03d}",
                        "speaker": f"s{s:03d}",
                        "gender": ("female", "male")[s // 2 % 2],
                        "label": CLASSES[label],
                        "logits": None if rng.random() < silent else z.tolist(),
                    }
                )
    return table_of(rows, system=system, **constant)


@pytest.fixture(scope="session")
def table() -> Callable[..., pl.DataFrame]:
    return table_of


@pytest.fixture(scope="session")
def random() -> Callable[..., pl.DataFrame]:
    return random_table
