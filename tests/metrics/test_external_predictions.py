"""Real predictions of another system, five actor-disjoint folds of RAVDESS: known accuracies, sound predicted."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from unheard.comparison.compare import compare_all
from unheard.metrics.estimators import estimate, per_gender
from unheard.metrics.speakers import per_speaker
from unheard.predictions.table import predictions

pytestmark = pytest.mark.data
KNOWN = {"audio": 0.819, "face-mean": 0.604, "face-sequence": 0.624, "fusion": 0.867}


@pytest.fixture(scope="module")
def tables(data_folder: Path) -> dict[str, pl.DataFrame]:
    found = {}
    for name in KNOWN:
        frame = pl.read_csv(data_folder / "ravdess-faces" / "foreign" / f"{name}.csv")
        scores = [c for c in frame.columns if c.startswith(("p_", "logit_"))]
        kind = "probabilities" if scores[0].startswith("p_") else "logits"
        values = pl.concat_list(pl.col(scores).cast(pl.Float64))
        if kind == "probabilities":  # seven digits were written
            values = pl.concat_list(pl.col(scores) / pl.sum_horizontal(scores))
        actor = pl.col("id").str.slice(-2).cast(pl.Int64)
        frame = frame.select(
            "id",
            "fold",
            "label",
            pl.lit(name).alias("system"),
            pl.lit("aus5").alias("protocol_hash"),
            actor.cast(pl.String).alias("speaker"),
            pl.when(actor % 2 == 0).then(pl.lit("female")).otherwise(pl.lit("male")).alias("gender"),
            values.alias(kind),
        )
        found[name] = predictions(frame, tuple(c.split("_", 1)[1] for c in scores))
    return found


def test_known_accuracies_and_sane_intervals(tables: dict[str, pl.DataFrame]) -> None:
    for name, t in tables.items():
        got = estimate(t, draws=2000)
        accuracy = got["accuracy"]
        assert accuracy["pooled"] == pytest.approx(KNOWN[name], abs=0.0006)
        assert accuracy["low"] < accuracy["pooled"] < accuracy["high"]
        assert 0.02 < accuracy["high"] - accuracy["low"] < 0.15
        assert 0 < got["ece"]["pooled"] < 0.3
        own = per_speaker(t)
        assert len(own) == 24
        # 60 clips of each actor: the mean over actors is the pooled accuracy.
        assert own["accuracy"].mean() == pytest.approx(accuracy["pooled"])
        assert {g["n_speakers"] for n, g in per_gender(t, draws=10).items() if n != "difference"} == {12}


def test_fusion_beats_its_parts_and_the_two_faces_are_level(tables: dict[str, pl.DataFrame]) -> None:
    found = {(c.a, c.b): c for c in compare_all(list(tables.values()), draws=2000)}
    assert found["audio", "fusion"].supported
    assert found["audio", "fusion"].difference == pytest.approx(0.819 - 0.867, abs=0.001)
    faces = found["face-mean", "face-sequence"]
    assert not faces.supported
    assert faces.smallest > abs(faces.difference)
