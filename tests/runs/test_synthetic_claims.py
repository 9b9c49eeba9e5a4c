"""What the knobs of the synthetic corpus promise, through the whole pipeline (minutes)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import unheard as ut
from unheard.comparison.compare import Comparison
from unheard.corpora import synthetic

CHANCE = 1 / 8


def scored(
    folder: Path, intensities: tuple[str, ...] = ("normal",), **strengths: float
) -> tuple[dict[str, Any], dict[str, Any], Comparison]:
    """Scores on leaky and on speaker-independent folds, and the premium, on a corpus of its own."""
    synthetic.write(folder / "corpus", speakers=12, intensities=intensities, **strengths)
    table = ut.read("synthetic", folder / "corpus")
    runs = [
        ut.run("functionals", table, ut.protocol(name, table), out=folder / name, jobs=2)
        for name in ("random-6", "group-6")
    ]
    leaky, fair = (run.scores["metrics"]["accuracy"] for run in runs)
    return leaky, fair, ut.premium(*runs)


@pytest.mark.slow
def test_without_style_and_identity_a_leak_is_worth_nothing(tmp_path: Path) -> None:
    leaky, fair, premium = scored(tmp_path, style=0.0, identity=0.0)
    assert premium.low is not None
    assert premium.high is not None
    assert premium.low <= 0 <= premium.high
    assert min(leaky["low"], fair["low"]) > CHANCE


@pytest.mark.slow
def test_with_style_alone_only_the_leaky_score_is_above_chance(tmp_path: Path) -> None:
    # A speaker's own way is learned from that speaker's few clips of an emotion: all intensities are needed.
    leaky, fair, premium = scored(tmp_path, ("normal", "strong"), emotion=0.0, style=2.0)
    assert leaky["low"] > CHANCE
    assert fair["low"] <= CHANCE
    assert premium.low is not None
    assert premium.low > 0


@pytest.mark.slow
def test_without_emotion_and_style_nothing_is_above_chance(tmp_path: Path) -> None:
    # Below chance is possible: the nearest clips of the same speaker have other labels in a balanced design.
    leaky, fair, _ = scored(tmp_path, emotion=0.0, style=0.0)
    assert leaky["low"] <= CHANCE
    assert fair["low"] <= CHANCE
