from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from unheard.comparison.compare import Comparison, compare, compare_all
from unheard.comparison.wording import describe
from unheard.errors import DataError
from unheard.metrics.dimensional import ccc
from unheard.metrics.distributional import kl

Make = Callable[..., pl.DataFrame]


def dimensional(table: Make, skill: float, seed: int, speakers: int = 10, seeds: int = 1) -> pl.DataFrame:
    fixed, rng = np.random.default_rng(0), np.random.default_rng([2, seed])
    truth = fixed.random((speakers, 12, 2))
    rows = [
        {
            "id": f"s{s:02d}-{i}",
            "speaker": f"s{s:02d}",
            "seed": k,
            "label": None,
            **{f"{name}_true": truth[s, i, d] for d, name in enumerate(("activation", "valence"))},
            **{
                name: skill * truth[s, i, d] + (1 - skill) * rng.random()
                for d, name in enumerate(("activation", "valence"))
            },
        }
        for s in range(speakers)
        for k in range(seeds)
        for i in range(12)
    ]
    return table(rows, classes=(), system=f"skill {skill}")


def voted(table: Make, skill: float, seed: int, speakers: int = 10) -> pl.DataFrame:
    fixed, rng = np.random.default_rng(0), np.random.default_rng([3, seed])
    rows = []
    for s in range(speakers):
        for i in range(12):
            share = fixed.multinomial(5, fixed.dirichlet(np.ones(3))) / 5
            p = skill * share + (1 - skill) * rng.dirichlet(np.ones(3))
            rows.append(
                {
                    "id": f"s{s:02d}-{i}",
                    "speaker": f"s{s:02d}",
                    "label": None,
                    "target": share.tolist(),
                    "probabilities": p.tolist(),
                }
            )
    return table(rows, system=f"skill {skill}")


def test_dimensions_are_compared_in_the_pooled_mean_ccc(table: Make) -> None:
    a, b = dimensional(table, 0.9, 1), dimensional(table, 0.3, 2)
    found = compare(a, b, draws=500)

    def mean(t: pl.DataFrame) -> float:
        return float(
            np.mean([ccc(t[d].to_numpy(), t[f"{d}_true"].to_numpy()) for d in ("activation", "valence")])
        )

    assert found.metric == "mean.ccc"
    assert found.difference == pytest.approx(mean(a) - mean(b))
    assert found.low is not None and 0 < found.low < found.difference
    assert found.supported and found.p == 2 / 2**10
    text = describe(found)
    assert str(found) == text
    assert text.startswith("Supported: skill 0.9 has the better mean CCC than skill 0.3 by 0.")
    assert "Pooled mean CCC of skill 0.9 - skill 0.3: +0." in text and "exchange within speakers" in text
    assert "CCC of valence: +0." in text and "mean MAE: -0." in text and "McNemar" not in text
    assert Comparison.from_dict(found.as_dict()) == found


def test_alike_systems_are_not_shown_and_the_order_turns_the_sign(table: Make) -> None:
    a, b = dimensional(table, 0.5, 1, seeds=2), dimensional(table, 0.5, 2, seeds=3)
    one, other = compare(a, b, draws=300), compare(b, a, draws=300)
    assert one.difference == pytest.approx(-other.difference)
    assert one.p == other.p
    assert not one.supported and "Not shown" in describe(one)
    # Repeating a system's seeds says nothing new.
    twice = pl.concat([a, a.with_columns(seed=pl.col("seed") + 2)])
    assert compare(twice, b, draws=300).difference == pytest.approx(one.difference)
    assert compare(twice, b, draws=300).p == one.p


def test_shares_are_compared_in_the_mean_over_speakers_of_kl(table: Make) -> None:
    a, b = voted(table, 0.9, 1), voted(table, 0.5, 2)
    found = compare(a, b, draws=500)
    each = [
        kl(np.array(t["probabilities"].to_list()), np.array(t["target"].to_list()))
        .reshape(10, 12)
        .mean(axis=1)
        for t in (a.sort("id"), b.sort("id"))
    ]
    assert found.metric == "kl"
    # As text s00-10 stands before s00-2: the clips of a speaker stay together all the same.
    assert found.difference == pytest.approx((each[0] - each[1]).mean())
    assert list(found.speakers.values()) == pytest.approx((each[0] - each[1]).tolist())
    assert found.difference < 0 and found.supported
    assert describe(found).startswith("Supported: skill 0.9 has the better KL than skill 0.5 by")
    assert "exchange" in found.secondary and "uar" not in found.secondary


def test_labels_decide_where_there_are_some_and_the_rest_is_secondary(table: Make) -> None:
    tables = [
        voted(table, skill, n).with_columns(label=pl.lit("sad", pl.Enum(["neutral", "happy", "sad"])))
        for n, skill in enumerate((0.9, 0.5, 0.1))
    ]
    first = compare_all(tables, draws=200)[0]
    assert first.metric == "accuracy" and {"uar", "mcnemar", "exchange"} <= set(first.secondary)
    assert first.secondary["exchange"]["kl"]["difference"] < 0
    assert "KL: -0." in describe(first)


def test_systems_of_unequal_dimensions_are_compared_in_those_that_both_have(table: Make) -> None:
    a, b = dimensional(table, 0.9, 1), dimensional(table, 0.3, 2)

    def without(name: str) -> pl.DataFrame:
        unknown = pl.lit(None, pl.Float64)
        return b.with_columns(unknown.alias(name), unknown.alias(f"{name}_true"))

    valence, activation = without("activation"), without("valence")
    found = compare(a, valence, draws=50)
    expected = ccc(a["valence"].to_numpy(), a["valence_true"].to_numpy()) - ccc(
        b["valence"].to_numpy(), b["valence_true"].to_numpy()
    )
    assert found.difference == pytest.approx(expected)
    with pytest.raises(DataError, match="no target in common"):
        compare(activation, valence)
    pairs = compare_all([a, valence, activation], names=["a", "v", "x"], draws=50, skip_unlike=True)
    assert [(c.a, c.b, c.pairs) for c in pairs] == [("a", "v", 2), ("a", "x", 2)]


def test_what_cannot_be_compared_is_said(table: Make) -> None:
    a, b = dimensional(table, 0.9, 1), dimensional(table, 0.3, 2)
    with pytest.raises(DataError, match="valence_true of a clip differs"):
        compare(a, b.with_columns(valence_true=1 - pl.col("valence_true")))
    with pytest.raises(DataError, match="no clip in common"):
        compare(a, b.with_columns(id="x" + pl.col("id")))
    with pytest.raises(DataError, match="no target in common"):
        compare(a, voted(table, 0.5, 1))


def test_answers_that_are_missing_may_be_left_out(table: Make) -> None:
    a, b = dimensional(table, 0.9, 1), dimensional(table, 0.3, 2)
    silent = pl.col("id") == "s00-0"
    a = a.with_columns(pl.when(~silent).then(pl.col(name)).alias(name) for name in ("activation", "valence"))
    assert (compare(a, b, draws=50).unanswered_a, compare(a, b, draws=50).dropped) == (1, 0)
    kept = compare(a, b, draws=50, answered_only=True)
    assert (kept.unanswered_a, kept.dropped, kept.n_clips) == (0, 1, 119)
