from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from sklearn import metrics as sk

from unheard.metrics.classes import Classes
from unheard.metrics.estimators import estimate, folds, per_gender

SCORES = [metric.name for metric in Classes.metrics]
Make = Callable[..., pl.DataFrame]


def arrays(rows: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Class numbers and probabilities; NaN without a prediction."""
    names = list(rows.schema["label"].categories)
    p = [row or [np.nan] * len(names) for row in rows["probabilities"].to_list()]
    return np.array([names.index(label) for label in rows["label"]]), np.array(p)


def naive(y: np.ndarray, p: np.ndarray) -> dict[str, float]:
    """All scores from the definitions."""
    c = p.shape[1]
    a = np.array([-1 if np.isnan(row).any() else int(np.argmax(row)) for row in p])
    full = np.array([np.full(c, 1 / c) if np.isnan(row).any() else row for row in p])
    sure, right = full.max(axis=1), a == y
    error = 0.0
    for b in range(15):
        inside = (sure > b / 15) & (sure <= (b + 1) / 15)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - sure[inside].mean())
    f1 = {"y_true": y, "y_pred": a, "zero_division": 0}
    return {
        "accuracy": sk.accuracy_score(y, a),
        "uar": sk.recall_score(y, a, labels=sorted(set(y)), average="macro", zero_division=0),
        "macro_f1": sk.f1_score(**f1, labels=sorted((set(y) | set(a)) - {-1}), average="macro"),
        "weighted_f1": sk.f1_score(**f1, labels=sorted(set(y)), average="weighted"),
        "ece": error,
        "nll": float(np.mean([-np.log(max(row[k], 1e-12)) for row, k in zip(full, y, strict=True)])),
        "brier": float(np.mean([((row - np.eye(c)[k]) ** 2).sum() for row, k in zip(full, y, strict=True)])),
    }


def naive_pooled(t: pl.DataFrame) -> dict[str, float]:
    seeds = [naive(*arrays(t.filter(pl.col("seed") == k))) for k in t["seed"].unique().sort()]
    return {name: float(np.mean([s[name] for s in seeds])) for name in SCORES}


@pytest.mark.parametrize("silent", [0.0, 0.1])
def test_mean_sd_and_pooled_from_the_definitions(random: Make, silent: float) -> None:
    t = random(3, silent=silent)
    got, by_fold = estimate(t, draws=50), folds(t)
    pooled = naive_pooled(t)
    each = [naive_pooled(t.filter(pl.col("fold") == f)) for f in range(3)]
    for name in SCORES:
        over = [e[name] for e in each]
        assert got[name]["mean"] == pytest.approx(np.mean(over))
        assert got[name]["sd"] == pytest.approx(np.std(over, ddof=1))
        assert got[name]["pooled"] == pytest.approx(pooled[name])
        assert [f[name] for f in by_fold] == pytest.approx(over)
    assert [(f["fold"], f["n_test"]) for f in by_fold] == [(0, 80), (1, 80), (2, 80)]


def test_interval_agrees_with_a_naive_bootstrap(random: Make) -> None:
    t = random(4, speakers=10, clips=6)
    rng = np.random.default_rng(99)
    cells = {
        (s, k): arrays(t.filter((pl.col("speaker") == s) & (pl.col("seed") == k)))
        for s, k in t.select("speaker", "seed").unique().iter_rows()
    }
    gender = dict(t.select("speaker", "gender").unique().iter_rows())
    women, men = (sorted(s for s in gender if gender[s] == g) for g in ("female", "male"))
    draws = []
    for _ in range(150):
        drawn = [*rng.choice(women, len(women)), *rng.choice(men, len(men))]
        seeds = [[cells[s, k] for s in drawn] for k in (0, 1)]
        each = [naive(*(np.concatenate(part) for part in zip(*cell, strict=True))) for cell in seeds]
        draws.append({name: (each[0][name] + each[1][name]) / 2 for name in SCORES})
    got = estimate(t, draws=4000)
    for name in SCORES:
        values = [d[name] for d in draws]
        low, high = np.quantile(values, [0.025, 0.975])
        # An end of 150 draws is known to about 0.3 standard deviations.
        assert got[name]["low"] == pytest.approx(low, abs=0.6 * np.std(values)), name
        assert got[name]["high"] == pytest.approx(high, abs=0.6 * np.std(values)), name


def test_order_of_rows_changes_nothing(random: Make) -> None:
    t = random(5)
    assert estimate(t.sample(fraction=1, shuffle=True, seed=1), draws=200) == estimate(t, draws=200)


def test_the_seed_of_the_draws_is_the_only_chance(random: Make) -> None:
    t = random(5)
    assert estimate(t, draws=200) == estimate(t, draws=200)
    assert estimate(t, draws=200, seed=1)["nll"]["low"] != estimate(t, draws=200)["nll"]["low"]


def test_the_same_seed_twice_changes_nothing(random: Make) -> None:
    once = random(6, seeds=1)
    twice = pl.concat([once, once.with_columns(seed=pl.lit(1, pl.Int64))])
    for name, values in estimate(once, draws=300).items():
        assert estimate(twice, draws=300)[name] == pytest.approx(values)


def test_draws_are_within_gender(table: Make) -> None:
    # Women all right, men all wrong: drawn within gender the score never moves.
    rows = [
        {
            "id": f"{s}-{i}",
            "speaker": f"{s}",
            "label": "sad",
            "gender": g,
            "predicted": "sad" if g == "female" else "happy",
        }
        for s, g in enumerate(["female", "male"] * 6)
        for i in range(3)
    ]
    accuracy = estimate(table(rows), draws=500)["accuracy"]
    assert (accuracy["low"], accuracy["high"]) == (0.5, 0.5)
    unknown = [{**row, "gender": None} for row in rows]
    accuracy = estimate(table(unknown), draws=500)["accuracy"]
    assert accuracy["low"] < 0.3
    assert accuracy["high"] > 0.7


def test_clips_of_a_speaker_stay_together(table: Make) -> None:
    # 12 speakers, 50 equal clips each: the interval is that of 12 numbers, not of 600.
    right = [1, 0] * 6
    rows = [
        {"id": f"{s:02d}-{i}", "speaker": f"{s}", "label": "sad", "predicted": "sad" if right[s] else "happy"}
        for s in range(12)
        for i in range(50)
    ]
    known = estimate(table(rows), draws=4000)["accuracy"]
    assert known["high"] - known["low"] == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 12), abs=0.1)
    unknown = estimate(table([{**row, "speaker": None} for row in rows]), draws=4000)["accuracy"]
    assert unknown["high"] - unknown["low"] == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 600), abs=0.01)


@pytest.mark.parametrize(("speakers", "there"), [(3, False), (4, True)])
def test_fewer_than_four_speakers_give_no_interval(random: Make, speakers: int, there: bool) -> None:
    values = estimate(random(7, speakers=speakers, folds=1), draws=100)["uar"]
    assert (values["low"] is not None, values["high"] is not None) == (there, there)
    assert values["sd"] is None


def test_a_broken_run_counts_what_is_there(random: Make) -> None:
    t = random(8, seeds=2)
    broken = t.filter(~((pl.col("seed") == 1) & (pl.col("fold") == 2)))
    one = naive(*arrays(t.filter(pl.col("seed") == 0)))
    two = naive(*arrays(broken.filter(pl.col("seed") == 1)))
    got = estimate(broken, draws=100)
    assert got["accuracy"]["pooled"] == pytest.approx((one["accuracy"] + two["accuracy"]) / 2)
    assert folds(broken)[2]["accuracy"] == pytest.approx(
        naive(*arrays(t.filter((pl.col("seed") == 0) & (pl.col("fold") == 2))))["accuracy"]
    )


def test_the_interval_covers_the_truth_about_as_often_as_it_says(table: Make) -> None:
    # 24 speakers whose own accuracies come from Beta(6, 3): the truth is 2/3.
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(60):
        rows = [
            {"id": f"{s}-{i}", "speaker": f"{s}", "label": "sad", "predicted": "sad" if hit else "happy"}
            for s, skill in enumerate(rng.beta(6, 3, 24))
            for i, hit in enumerate(rng.random(20) < skill)
        ]
        accuracy = estimate(table(rows), draws=500)["accuracy"]
        covered += accuracy["low"] <= 2 / 3 <= accuracy["high"]
    # 95 % nominal, about 93 % for a percentile interval of 24; 60 trials spread by 3 points.
    assert 50 <= covered <= 60


def test_women_men_and_their_difference(random: Make) -> None:
    t = random(9, speakers=16)
    got = per_gender(t, draws=2000)
    women, men = (naive_pooled(t.filter(pl.col("gender") == g)) for g in ("female", "male"))
    assert got["female"]["n_speakers"] == 8
    assert got["female"]["n_clips"] == 160
    assert "other" not in got
    for name in ("accuracy", "uar"):
        assert got["female"][name]["pooled"] == pytest.approx(women[name])
        gap = got["difference"][name]
        assert gap["pooled"] == pytest.approx(women[name] - men[name])
        # Two independent groups: the variances of their draws add.
        widths = [got[g][name]["high"] - got[g][name]["low"] for g in ("female", "male")]
        assert gap["high"] - gap["low"] == pytest.approx(np.hypot(*widths), rel=0.12)


def test_a_gender_of_few_speakers_has_no_interval(random: Make) -> None:
    t = random(9, speakers=6)  # four women, two men
    got = per_gender(t, draws=100)
    assert got["female"]["accuracy"]["low"] is not None
    assert got["male"]["accuracy"]["low"] is None
    assert got["difference"]["accuracy"]["low"] is None
    assert per_gender(t.with_columns(gender=pl.lit(None, t.schema["gender"])), draws=10) == {}
