"""Graders of known skill: they vote as they are said to, and what learns their votes gains what they disagree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import unheard as ut
from unheard.comparison.compare import compare
from unheard.corpora.synthetic.graders import graded, vote_probabilities
from unheard.errors import UsageError
from unheard.runs.folder import Run
from unheard.testing import toy_corpus


def said(table: pl.DataFrame) -> list[list[str]]:
    return [[vote["label"] for vote in votes] for votes in table["votes"].to_list()]


def test_votes_are_as_probable_as_they_are_said_to_be() -> None:
    due = vote_probabilities(4, 0.8, 0.25)
    # 0.8 of them say the label (3 in 4) or one of the two beside it, the others choose among four.
    assert due[1].tolist() == pytest.approx([0.15, 0.65, 0.15, 0.05])
    assert due[3].tolist() == pytest.approx([0.15, 0.05, 0.15, 0.65])
    names = ["a", "b", "c", "d"]
    table = pl.DataFrame(
        {"id": [f"{i}" for i in range(400)], "label": pl.Series([*"abcd"] * 100, dtype=pl.Enum(names))}
    )
    votes = said(graded(table, graders=20, reliability=0.8, ambiguity=0.25))
    for row, label in enumerate(names):
        of_label = [
            vote for own, one in zip(votes, table["label"], strict=True) if one == label for vote in own
        ]
        found = [of_label.count(name) / len(of_label) for name in names]
        assert np.abs(found - due[row]).max() < 0.04
    assert all(own == [label] * 5 for own, label in zip(said(graded(table)), table["label"], strict=True))
    # Whoever joins without skill changes no other vote, and prefers nothing.
    more = said(graded(table, graders=20, reliability=0.8, ambiguity=0.25, unskilled=20))
    assert [own[:20] for own in more] == votes
    joined = [vote for own in more for vote in own[20:]]
    assert max(abs(joined.count(name) / len(joined) - 0.25) for name in names) < 0.03


def test_what_is_no_crowd_is_said() -> None:
    table = pl.DataFrame({"id": ["x"], "label": pl.Series([None], dtype=pl.Enum(["a", "b"]))})
    assert said(graded(table)) == [[]]
    with pytest.raises(UsageError, match="0 skilled and 0 unskilled"):
        graded(table, graders=0)
    with pytest.raises(UsageError, match=r"ambiguity is 1\.5"):
        graded(table, ambiguity=1.5)


@pytest.mark.slow
def test_learning_votes_gains_what_grows_with_the_planted_ambiguity(tmp_path: Path) -> None:
    speech = toy_corpus(tmp_path / "speech", speakers=12, emotion=2.0, style=0.3, identity=0.5)

    def trained(name: str, target: str, **crowd: Any) -> Run:
        table = graded(speech, graders=8, **crowd)
        folds = ut.protocol("group-3", table, classes=target)
        changes = {"target.classes": target, "head.grid": [0.1]}
        return ut.run("functionals", table, folds, out=tmp_path / name, changes=changes)

    gains = []
    for ambiguity in (0.0, 0.07, 0.15):
        of_votes = trained(f"votes{ambiguity}", "votes", ambiguity=ambiguity)
        of_label = trained(f"label{ambiguity}", "label", ambiguity=ambiguity)
        found = ut.compare(of_votes, of_label).secondary
        kl, uar = found["exchange"]["kl"], found["uar"]
        gains.append(-kl["difference"])
        # Where all agree there is nothing to gain; elsewhere the whole interval speaks for the votes.
        assert kl["low"] <= 0 <= kl["high"] if ambiguity == 0 else kl["high"] < 0
        assert uar["high"] >= 0
    assert gains[0] + 0.05 < gains[1] < gains[2] - 0.05

    # As many graders without skill add nothing to what is learned of those who have it.
    joined = trained("joined", "votes", ambiguity=0.15, unskilled=8).predictions
    heard = of_votes.predictions.select("id", "part", "fold", "target")
    same = joined.drop("target").join(heard, on=["id", "part", "fold"]).select(joined.columns)
    assert compare(of_votes.predictions, same).secondary["exchange"]["kl"]["difference"] < 0
