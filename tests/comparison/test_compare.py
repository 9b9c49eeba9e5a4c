from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product

import numpy as np
import polars as pl
import pytest
from scipy import stats

from unheard.comparison.compare import compare, compare_all, leakage_gap
from unheard.errors import UsageError

Make = Callable[..., pl.DataFrame]


def accuracies(t: pl.DataFrame, by: list[str]) -> dict[object, float]:
    """Mean over seeds of the accuracy of each group, in plain loops."""
    names = list(t.schema["label"].categories)
    found: dict[object, dict[int, list[bool]]] = {}
    for one in t.iter_rows(named=True):
        key = tuple(one[c] for c in by) if len(by) > 1 else one[by[0]]
        p = one["probabilities"]
        hit = p is not None and names[int(np.argmax(p))] == one["label"]
        found.setdefault(key, {}).setdefault(one["seed"], []).append(hit)
    return {key: float(np.mean([np.mean(hits) for hits in seeds.values()])) for key, seeds in found.items()}


def test_the_primary_test_from_its_definition(random: Make) -> None:
    a, b = random(1, skill=1.6, system="a"), random(2, skill=1.0, system="b", silent=0.05)
    c = compare(a, b, draws=2000)
    of_a, of_b = accuracies(a, ["speaker"]), accuracies(b, ["speaker"])
    d = np.array([of_a[s] - of_b[s] for s in sorted(of_a)])
    assert c.difference == pytest.approx(d.mean())
    assert c.speakers == pytest.approx({s: of_a[s] - of_b[s] for s in of_a})
    sums = np.array([np.dot(signs, d) for signs in product((1, -1), repeat=12)])
    assert c.p == c.p_holm == pytest.approx(np.mean(np.abs(sums) >= abs(d.sum()) - 1e-12))
    rng = np.random.default_rng(7)
    naive = [rng.choice(d, 12).mean() for _ in range(2000)]
    assert (c.low, c.high) == pytest.approx(tuple(np.quantile(naive, [0.025, 0.975])), abs=0.015)
    assert c.supported == (c.p < 0.05 and (c.low > 0 or c.high < 0))
    assert (c.n_speakers, c.n_clips, c.pairs, c.marks, c.across) == (12, 240, 1, (), False)


def test_the_secondary_tests_from_their_definitions(random: Make) -> None:
    a, b = random(1, skill=1.6), random(2)
    c = compare(a, b, draws=500)
    classes = (accuracies(t, ["speaker", "label"]) for t in (a, b))
    of_a, of_b = classes
    by_speaker: dict[str, list[float]] = {}
    for (speaker, label), value in of_a.items():
        by_speaker.setdefault(speaker, []).append(value - of_b[speaker, label])
    d = [np.mean(values) for values in by_speaker.values()]
    assert c.secondary["uar"]["difference"] == pytest.approx(np.mean(d))
    assert c.secondary["uar"]["low"] < np.mean(d) < c.secondary["uar"]["high"]

    folds_a, folds_b = accuracies(a, ["fold"]), accuracies(b, ["fold"])
    d = np.array([folds_a[f] - folds_b[f] for f in range(3)])
    t = d.mean() / np.sqrt((1 / 3 + 1 / 2) * d.var(ddof=1))
    got = c.secondary["corrected_t"]
    assert (got["difference"], got["t"], got["folds"]) == (pytest.approx(d.mean()), pytest.approx(t), 3)
    assert got["p"] == pytest.approx(2 * stats.t.sf(abs(t), 2))

    clips_a, clips_b = accuracies(a, ["id"]), accuracies(b, ["id"])
    got = c.secondary["mcnemar"]
    assert got["only_a"] == sum(clips_a[i] > clips_b[i] for i in clips_a)
    assert got["only_b"] == sum(clips_a[i] < clips_b[i] for i in clips_a)
    assert got["p"] == pytest.approx(stats.binomtest(got["only_a"], got["only_a"] + got["only_b"]).pvalue)


def test_validation_rows_make_the_training_part_smaller(random: Make) -> None:
    a, b = random(1, skill=1.6), random(2)
    plain = compare(a, b, draws=100).secondary["corrected_t"]["t"]
    # Three folds of 80 clips: with 80 more for validation, 80 are left for training, not 160.
    val = a.with_columns(part=pl.lit("val", a.schema["part"]), fold=(pl.col("fold") + 1) % 3)
    t = compare(pl.concat([a, val]), b, draws=100).secondary["corrected_t"]["t"]
    assert t == pytest.approx(plain * np.sqrt((1 / 3 + 1 / 2) / (1 / 3 + 1)))


def test_swapping_the_systems_turns_the_sign(random: Make) -> None:
    a, b = random(1), random(2)
    one, other = compare(a, b, draws=500), compare(b, a, draws=500)
    assert other.difference == pytest.approx(-one.difference)
    assert (other.low, other.high) == pytest.approx((-one.high, -one.low), abs=1e-3)
    assert other.p == one.p
    assert other.secondary["mcnemar"]["only_a"] == one.secondary["mcnemar"]["only_b"]


def test_order_of_rows_changes_nothing(random: Make) -> None:
    a, b = random(1), random(2)
    shuffled = a.sample(fraction=1, shuffle=True, seed=3)
    assert compare(shuffled, b, draws=200, names=("a", "b")) == compare(a, b, draws=200, names=("a", "b"))


def test_a_system_against_itself(random: Make) -> None:
    c = compare(random(1), random(1))
    assert (c.difference, c.low, c.high, c.p, c.supported) == (0.0, 0.0, 0.0, 1.0, False)
    assert c.secondary["corrected_t"] == {"difference": 0.0, "folds": 3, "t": 0.0, "p": 1.0}
    assert c.secondary["mcnemar"] == {"only_a": 0, "only_b": 0, "p": 1.0}


def made(table: Make, differences: list[int], clips: int = 10) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Two systems of which A has so many clips more right of each speaker (less, where negative)."""
    tables = []
    for side in (1, -1):
        rows = [
            {
                "id": f"{s}-{i}",
                "speaker": f"{s:03d}",
                "label": "sad",
                "predicted": "sad" if i < 5 + max(0, side * d) else "happy",
            }
            for s, d in enumerate(differences)
            for i in range(clips)
        ]
        tables.append(table(rows, system="ab"[side < 0]))
    return tables[0], tables[1]


@pytest.mark.parametrize(
    ("differences", "supported"),
    [([1, 2, 3, 2, 1, 2], True), ([1, 2, 3, 2, 1], False), ([5, 5, 5, -4, -4, -4, 1], False)],
)
def test_what_is_supported(table: Make, differences: list[int], supported: bool) -> None:
    c = compare(*made(table, differences), draws=1000)
    assert c.supported is supported
    assert c.difference == pytest.approx(np.mean(differences) / 10)
    # Five speakers cannot show anything, however they differ.
    assert (c.smallest is None) == (len(differences) < 6)
    if c.smallest is not None:
        assert (abs(c.difference) > c.smallest) == supported


def test_three_speakers_have_no_interval(table: Make) -> None:
    c = compare(*made(table, [3, 3, 3]))
    assert (c.low, c.high, c.supported, c.marks) == (None, None, False, ("FEW SPEAKERS",))
    assert c.secondary["uar"]["low"] is None


def test_unknown_speakers_support_nothing(table: Make) -> None:
    a, b = (t.with_columns(speaker=pl.lit(None, pl.String)) for t in made(table, [3] * 10))
    c = compare(a, b, draws=500)
    assert c.p < 0.001
    assert c.low > 0
    assert (c.supported, c.smallest, c.n_speakers, c.marks, c.speakers) == (
        False,
        None,
        0,
        ("UNVERIFIED",),
        {},
    )


def test_other_protocols_are_refused_unless_asked(random: Make) -> None:
    a, b = random(1, system="a"), random(2, system="b", protocol="other", protocol_hash="h1")
    with pytest.raises(UsageError, match=r"a and b are not of one protocol \(toy h0 against other h1\)"):
        compare(a, b)
    c = compare(a, b, across=True, draws=100)
    assert c.across
    assert c.secondary["corrected_t"] is None
    unknown = random(1, protocol_hash=None)
    with pytest.raises(UsageError, match="without hash"):
        compare(unknown, unknown)
    assert not compare(a, a, across=True, draws=100).across


def test_all_pairs_with_holm(random: Make) -> None:
    tables = [random(i, skill=s, system=n) for i, s, n in [(1, 2.5, "x"), (2, 1.0, "y"), (3, 0.9, "z")]]
    found = compare_all(tables, draws=300)
    assert [(c.a, c.b) for c in found] == [("x", "y"), ("x", "z"), ("y", "z")]
    p = sorted(c.p for c in found)
    assert sorted(c.p_holm for c in found) == pytest.approx(
        [min(1, 3 * p[0]), min(1, max(3 * p[0], 2 * p[1])), min(1, max(3 * p[0], 2 * p[1], p[2]))]
    )
    alone = compare(tables[0], tables[1], draws=300)
    assert found[0].p == alone.p
    assert found[0].smallest >= alone.smallest
    for c in found:
        assert c.pairs == 3
        # What exceeds the smallest difference is shown whatever the other pairs give.
        assert c.supported or c.smallest is None or abs(c.difference) <= c.smallest
    with pytest.raises(UsageError, match="two runs at least, found 1"):
        compare_all(tables[:1])


def test_holm_can_take_support_away(table: Make) -> None:
    a, b = made(table, [1, 2, 3, 2, 1, 2])
    assert compare(a, b).supported
    assert not any(c.supported for c in compare_all([a, b, b]))


def test_leakage_gap(random: Make) -> None:
    leaky = random(1, skill=2.5, protocol="random", protocol_hash="leak", seeds=1)
    fair = random(2, skill=0.8, seeds=1)
    c = leakage_gap(leaky, fair, draws=500)
    gain = accuracies(leaky, ["speaker"])
    base = accuracies(fair, ["speaker"])
    assert c.difference == pytest.approx(np.mean([gain[s] - base[s] for s in gain]))
    assert c.low > 0
    assert c.across
    assert (c.a, c.b) == ("toy on random", "toy on toy")
    with pytest.raises(UsageError, match="both runs are of one protocol"):
        leakage_gap(fair, fair)


def test_names_tell_the_systems_apart(random: Make) -> None:
    c = compare(random(1, system=None), random(2, system=None), draws=10)
    assert (c.a, c.b) == ("system 1", "system 2")
    c = compare(random(1), random(2), draws=10)
    assert (c.a, c.b) == ("toy on toy (1)", "toy on toy (2)")
    assert compare(random(1), random(2), draws=10, names=("x", "y")).b == "y"


def test_as_json(random: Make) -> None:
    text = json.dumps(compare(random(1), random(2), draws=10).as_dict(), allow_nan=False)
    assert json.loads(text)["secondary"]["mcnemar"]["p"] <= 1


def test_equal_systems_are_seldom_told_apart(table: Make) -> None:
    """Speakers differ much, systems not at all: a false alarm comes about as often as its level says."""
    rng = np.random.default_rng(0)
    alarms = []
    for _ in range(120):
        skill = rng.beta(4, 3, 12)
        sides = [
            table(
                [
                    {
                        "id": f"{s}-{i}",
                        "speaker": f"{s}",
                        "label": "sad",
                        "predicted": "sad" if hit else "happy",
                    }
                    for s in range(12)
                    for i, hit in enumerate(rng.random(15) < skill[s])
                ]
            )
            for _ in range(2)
        ]
        alarms.append(compare(*sides, draws=200).supported)
    assert sum(alarms) <= 13  # 6 expected
