"""Graders against each other, by hand and against scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from unheard.metrics.dimensional import ccc
from unheard.metrics.graders import Ceiling, ceiling, ceiling_of

NAMES = ("a", "b", "c")


def vote(
    grader: str | None, label: str | None, weight: float = 1.0, valence: float | None = None
) -> dict[str, Any]:
    return {"grader": grader, "label": label, "weight": weight, "valence": valence}


def found(votes: list[list[dict[str, Any]]], dimensions: tuple[str, ...] = ()) -> dict[str, Any]:
    made = ceiling_of(votes, np.zeros(len(votes), np.int64), NAMES, dimensions)
    return ceiling(made, np.zeros(1, np.int64), dimensions)


def test_three_graders_by_hand() -> None:
    # The third differs: the others of each of the first two tie (half right), the others of the third agree on a.
    two = [vote("1", "a"), vote("2", "a"), vote("3", "b")]
    one = [vote("1", "c"), vote("2", "c"), vote("3", "c")]
    assert found([two])["accuracy"]["pooled"] == pytest.approx((0.5 + 0.5 + 0) / 3)
    both = found([two, one, [vote("1", "a"), vote("2", "a")]])
    assert (both["n_clips"], both["n_graders"]) == (2, 3)
    assert both["accuracy"]["pooled"] == pytest.approx((0.75 + 0.75 + 0.5) / 3)
    # UAR of the first: half of the truth a (right), half of b (wrong), all of c (right).
    assert both["uar"]["pooled"] == pytest.approx((2 / 3 + 2 / 3 + 1 / 2) / 3)


def test_people_without_names_are_counted_by_their_weight() -> None:
    named = [vote(str(i), label) for i, label in enumerate("aaaabbc")]
    counted = [vote(None, "a", 4), vote(None, "b", 2), vote(None, "c", 1)]
    assert found([counted])["accuracy"]["pooled"] == pytest.approx(4 / 7)
    assert found([counted])["accuracy"] == found([named])["accuracy"]
    assert found([counted])["n_graders"] == 0
    many = [[vote(f"{clip}-{i}", label) for i, label in enumerate("aaaabbc")] for clip in range(9)]
    assert found(many)["accuracy"]["pooled"] == pytest.approx(4 / 7)


def test_graders_are_scored_as_anybody_would_be() -> None:
    rng = np.random.default_rng(0)
    said = rng.integers(0, 3, (200, 3))
    said[:, 1] = np.where(rng.random(200) < 0.7, said[:, 0], said[:, 1])
    values = rng.random((200, 3))
    votes = [[vote(str(g), NAMES[said[i, g]], valence=values[i, g]) for g in range(3)] for i in range(200)]
    # Where the other two agree their class is the truth; else each of the two stands for half.
    uars, cccs = [], []
    for g in range(3):
        others = np.delete(said, g, axis=1)
        truth, answer = others.ravel(), np.repeat(said[:, g], 2)
        uars.append(balanced_accuracy_score(truth, answer))
        cccs.append(ccc(values[:, g], np.delete(values, g, axis=1).mean(axis=1)))
    result = found(votes, ("valence",))
    assert result["uar"]["pooled"] == pytest.approx(np.mean(uars))
    assert result["valence.ccc"]["pooled"] == pytest.approx(np.mean(cccs))


def test_the_interval_is_over_speakers_and_graders_who_agree_are_always_right() -> None:
    rng = np.random.default_rng(1)
    votes = [[vote(str(g), NAMES[rng.integers(3)]) for g in range(4)] for _ in range(120)]
    units = np.arange(120) % 6
    made = ceiling(ceiling_of(votes, units, NAMES, ()), np.zeros(6, np.int64), (), draws=300)
    assert made["accuracy"]["low"] < made["accuracy"]["pooled"] < made["accuracy"]["high"]
    agreed = [[vote(str(g), NAMES[i % 3]) for g in range(4)] for i in range(30)]
    assert found(agreed)["uar"]["pooled"] == 1.0
    assert found(agreed)["uar"]["low"] is None
    assert isinstance(ceiling_of([], np.zeros(0, np.int64), NAMES, ()), Ceiling)
