"""A fusion on the page: its weights and temperatures, and how it did against its best system."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from reading import figure, read

from unheard.comparison.compare import compare
from unheard.report.figures.fusion import fusion_chart, fusion_fits
from unheard.report.page import html
from unheard.report.system import System

Make = Callable[..., System]


def fit(fold: int, seed: int, voice: float, *temperatures: float) -> dict[str, Any]:
    chosen: dict[str, Any] = {"weights": {"voice": voice, "face": 1 - voice}}
    if temperatures:
        chosen["temperatures"] = dict(zip(("voice", "face"), temperatures, strict=True))
    return {"fold": fold, "seed": seed, "chosen": chosen}


def test_numbers_stand_in_the_table_and_means_in_the_words() -> None:
    fits = fusion_fits([fit(0, 0, 0.75, 1.0, 1.5), fit(0, 1, 0.25, 1.25, 1.5), fit(1, 0, 0.5, 2.0, 1.75)])
    chart = fusion_chart("f", fits)
    assert chart is not None
    assert chart.columns[2:4] == ("weight of voice", "temperature of voice")
    assert chart.rows == (
        ("0", "0", "0.75", "1.00", "0.25", "1.50"),
        ("0", "1", "0.25", "1.25", "0.75", "1.50"),
        ("1", "0", "0.50", "2.00", "0.50", "1.75"),
    )
    assert "voice: weight 0.50 on average, temperature 1.00 to 2.00" in chart.alt
    assert "2 systems in 2 folds" in chart.alt
    assert "means over seeds" in chart.note


def test_nothing_is_drawn_where_nothing_was_fitted() -> None:
    assert fusion_fits([fit(0, 0, 0.5), {"fold": 1, "seed": 0, "chosen": {"C": 0.1}}, {"fold": 2}]) == []
    assert fusion_chart("f", []) is None


@pytest.mark.parametrize("systems", [2, 8])
def test_each_system_is_named(systems: int) -> None:
    names = [f"system-{k}" for k in range(systems)]
    record = dict.fromkeys(names, 1 / systems)
    fits = fusion_fits([{"fold": 0, "seed": 0, "chosen": {"weights": record, "temperatures": record}}])
    chart = fusion_chart("f", fits)
    assert chart is not None
    assert all(name in chart.svg for name in names)


def fused(make: Make, **changes: Any) -> System:
    system, single = make("both", right=0.7), make("voice", right=0.6, seed=1)
    fusion = {
        "weights": "fitted", "members": ["face", "voice"], "best": "voice", "chosen_by": "validation", "held": 5,
        "of": 6, "unanswered": {}, "folds": [],
        "comparison": compare(system.clean, single.clean, draws=100, names=("both", "voice")).as_dict(),
    }  # fmt: skip
    fits = [fit(k, 0, 0.5, 1.0, 1.5) for k in range(6)]
    return replace(system, results={**system.results, "fusion": {**fusion, **changes}}, fits=fits)


def test_the_page_says_how_often_it_held_and_shows_the_figure(make: Make) -> None:
    page = read(html([fused(make)]))
    assert "A late fusion of face and voice." in page.words
    assert "(the best by validation) in 5 of 6 folds and seeds" in page.words
    assert "both is more accurate than voice by" in page.words
    drawn = figure(page, "s0-fusion").words
    assert "Weights and temperatures of the fusion" in drawn


def test_the_page_says_what_chose_the_best_system_and_who_was_silent(make: Make) -> None:
    system = fused(make, weights="equal", chosen_by="test", unanswered={"face": 3})
    text = read(html([system])).words
    assert "fixed in advance" in text
    assert "(the best by test, which favours it)" in text
    assert "face gave no prediction to 3 clips; there the others predict by themselves." in text
    crossed = read(html([fused(make, weights="cross-fitted")])).words
    assert "fitted on the test rows of other folds" in crossed
