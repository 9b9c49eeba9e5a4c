"""Speakers above a threshold, and the area under the risk-coverage curve with weights."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from unheard.decide.abstain import aurc as aurc_of_rows
from unheard.metrics.selective import aurc, selective
from unheard.metrics.speakers_above import speakers_above
from unheard.predictions.table import predictions

NAMES = ("a", "b", "c", "d")


def table(speakers: int = 8, clips: int = 12, seeds: int = 1) -> pl.DataFrame:
    rng = np.random.default_rng(2)
    rows = [
        {
            "system": "toy", "fold": s % 2, "seed": k, "id": f"{s}-{i:02d}", "speaker": f"s{s}",
            "gender": ("female", "male")[s % 2], "label": NAMES[i % 4],
            "probabilities": None if (s, i) == (0, 0) else rng.dirichlet(np.eye(4)[i % 4] * s / 4 + 0.4).round(1)
            .tolist(),
        }
        for s in range(speakers) for k in range(seeds) for i in range(clips)
    ]  # fmt: skip
    frame = pl.DataFrame(rows).with_columns(
        pl.col("probabilities").list.eval(pl.element() / pl.element().sum())
    )
    return predictions(frame, NAMES)


@pytest.mark.parametrize("seed", range(5))
def test_the_area_with_weights_is_that_of_repeated_clips(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(3), 30).round(1)
    p[:2] = np.nan
    labels = rng.integers(0, 3, 30)
    silent = np.isnan(p).any(axis=1)
    sure = np.where(silent, -1, np.nan_to_num(p).max(axis=1))
    wrong = (silent | (np.nan_to_num(p).argmax(axis=1) != labels)).astype(float)
    weights = rng.integers(0, 4, (6, 30))
    due = [aurc_of_rows(np.repeat(p, w, axis=0), np.repeat(labels, w)) for w in weights]
    assert aurc(sure, wrong, weights.astype(float)) == pytest.approx(due)
    assert aurc(sure, wrong, np.ones((1, 30)))[0] == pytest.approx(aurc_of_rows(p, labels))


def test_the_area_has_an_interval_over_speakers() -> None:
    found = selective(table(seeds=2), draws=200)
    assert found["low"] < found["pooled"] < found["high"]
    assert selective(table(speakers=3))["low"] is None


def test_speakers_above_by_hand() -> None:
    # Four speakers with two clips of a and two of b: right in 4, 3, 2 and 1 of them.
    rows = []
    for s, right in enumerate((4, 3, 2, 1)):
        for i in range(4):
            label = "ab"[i % 2]
            p = [0.6, 0.3, 0.05, 0.05] if (label == "a") == (i < right) else [0.3, 0.6, 0.05, 0.05]
            rows.append({"system": "toy", "id": f"{s}{i}", "fold": 0, "speaker": f"s{s}", "label": label,
                         "gender": "female" if s < 3 else "male", "probabilities": p})  # fmt: skip
    found = {
        (row["above"], row["k"], row["group"]): row
        for row in speakers_above(predictions(pl.DataFrame(rows), NAMES), draws=100)
    }
    # Two of four clips are 50 %, which is not above 50 %; three are 75 %, which is not above 75 %.
    assert found[50, 1, "all"]["share"] == 2 / 4
    assert found[75, 1, "all"]["share"] == 1 / 4
    assert found[50, 2, "all"]["share"] == 1
    assert found[50, 1, "female"]["share"] == pytest.approx(2 / 3)
    assert found[50, 1, "female"]["low"] is None and found[50, 1, "all"]["low"] is not None
    assert not any(group == "enough" for _, _, group in found)


def test_who_has_few_clips_is_left_out_beside_the_others() -> None:
    t = table()
    few = t.filter((pl.col("speaker") != "s7") | (pl.col("id") < "7-05"))
    rows = {(r["above"], r["k"], r["group"]): r for r in speakers_above(few, draws=50)}
    assert rows[50, 1, "enough"]["n_speakers"] == 7 and rows[50, 1, "all"]["n_speakers"] == 8
    assert speakers_above(t.with_columns(speaker=pl.lit(None, pl.String)), draws=50) == []
