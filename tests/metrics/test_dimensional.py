from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from numpy.testing import assert_allclose

from unheard.metrics import estimators
from unheard.metrics.dimensional import METRICS, Dimensions, ccc, mae
from unheard.metrics.rows import rows_with_truth

Make = Callable[..., pl.DataFrame]


def estimates(table: pl.DataFrame, draws: int) -> dict[str, estimators.Estimates]:
    return {block.name: found for block, found in estimators.estimates(table, draws)}


def test_ccc_by_hand() -> None:
    # Means 0.4 and 0.5, variances 0.06 / 3 · ... : predicted 0.2, 0.4, 0.6; truth 0.3, 0.3, 0.9.
    x, y = np.array([0.2, 0.4, 0.6]), np.array([0.3, 0.3, 0.9])
    var_x, var_y, cov = 0.08 / 3, 0.08, 0.04
    assert ccc(x, y) == pytest.approx(2 * cov / (var_x + var_y + 0.1**2))
    assert mae(x, y) == pytest.approx((0.1 + 0.1 + 0.3) / 3)


@pytest.mark.parametrize(
    ("predicted", "truth", "due"),
    [
        ([0.1, 0.7, 0.4], [0.1, 0.7, 0.4], 1.0),
        ([0.3, 0.3], [0.3, 0.3], 1.0),
        ([0.3, 0.3], [0.7, 0.7], 0.0),
        ([0.5, 0.5, 0.5], [0.1, 0.7, 0.4], 0.0),
        ([0.1, 0.9], [0.9, 0.1], -1.0),
    ],
)
def test_ccc_where_something_is_constant(predicted: list[float], truth: list[float], due: float) -> None:
    assert ccc(predicted, truth) == pytest.approx(due, abs=1e-12)


def test_ccc_does_not_lose_digits_far_from_the_middle() -> None:
    rng = np.random.default_rng(0)
    x = 0.999 + 1e-4 * rng.random(500)
    y = x + 1e-5 * rng.random(500)
    due = 2 * np.cov(x, y, ddof=0)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    assert ccc(x, y) == pytest.approx(due, rel=1e-6)


def two_dimensions(table: Make) -> pl.DataFrame:
    rng = np.random.default_rng(1)
    rows = []
    for s in range(8):
        for i in range(6):
            arousal, valence = rng.random(2)
            rows.append(
                {
                    "id": f"{s}-{i}",
                    "speaker": f"s{s}",
                    "fold": s % 2,
                    "label": None,
                    "activation": arousal if i else None,
                    "activation_true": 0.5 * arousal + 0.5 * rng.random(),
                    "valence": valence if i else None,
                    "valence_true": None if i == 1 else valence**2,
                }
            )
    return table(rows, classes=())


def test_scores_over_the_clips_that_have_the_truth_and_the_middle_without_an_answer(table: Make) -> None:
    t = two_dimensions(table)
    rows = rows_with_truth(t)
    assert (rows.dimensions, len(rows.frame)) == (("activation", "valence"), 48)
    found = Dimensions(rows.dimensions).scores(Dimensions(rows.dimensions).columns(rows).sum(axis=0))
    for name in rows.dimensions:
        known = t.filter(pl.col(f"{name}_true").is_not_null())
        x, y = known[name].fill_null(0.5).to_numpy(), known[f"{name}_true"].to_numpy()
        assert found[f"{name}.ccc"] == pytest.approx(ccc(x, y))
        assert found[f"{name}.mae"] == pytest.approx(np.abs(x - y).mean())
    assert found["mean.ccc"] == pytest.approx((found["activation.ccc"] + found["valence.ccc"]) / 2)


def test_every_dimension_has_spread_and_interval(table: Make) -> None:
    found = estimates(two_dimensions(table), draws=300)
    assert list(found) == ["dimensions"]
    assert list(found["dimensions"]) == [
        f"{d}.{m}" for d in ("activation", "valence", "mean") for m in (metric.name for metric in METRICS)
    ]
    for value in found["dimensions"].values():
        assert value["low"] < value["pooled"] < value["high"]
        assert value["sd"] > 0


def test_interval_agrees_with_a_naive_bootstrap(table: Make) -> None:
    t = two_dimensions(table)
    speakers = t["speaker"].unique().sort().to_list()
    each = {s: t.filter(pl.col("speaker") == s) for s in speakers}
    rng = np.random.default_rng(7)
    values = []
    for _ in range(400):
        drawn = pl.concat(each[s] for s in rng.choice(speakers, len(speakers)))
        values.append(ccc(drawn["activation"].fill_null(0.5).to_numpy(), drawn["activation_true"].to_numpy()))
    found = estimates(t, draws=4000)["dimensions"]["activation.ccc"]
    assert_allclose(
        [found["low"], found["high"]], np.quantile(values, [0.025, 0.975]), atol=0.6 * np.std(values)
    )


def test_a_dimension_that_the_system_does_not_answer_is_not_scored(table: Make) -> None:
    t = two_dimensions(table).with_columns(valence=pl.lit(None, pl.Float64))
    assert list(estimates(t, draws=50)["dimensions"])[:2] == ["activation.ccc", "activation.mae"]
    assert "valence.ccc" not in estimates(t, draws=50)["dimensions"]
