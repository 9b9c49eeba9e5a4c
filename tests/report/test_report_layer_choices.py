from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from reading import figure, read

from unheard.report.figures.curves import curves
from unheard.report.figures.layer_choices import choices, choices_chart, weights_chart
from unheard.report.figures.layers import layers_chart
from unheard.report.page import html
from unheard.report.system import System

Make = Callable[..., System]


def chose(fold: int, layer: int, C: float = 0.01) -> dict[str, Any]:
    """Record of a fold whose probe tried three layers at two values of C."""
    history = [
        {"layer": k, "C": c, "uar": 0.3 + 0.1 * (k == layer) + 0.01 * (c == C)}
        for k in range(3)
        for c in (C, 1.0)
    ]
    return {"fold": fold, "seed": 0, "chosen": {"layer": layer, "C": C}, "history": history}


def weighted(fold: int, weights: list[float]) -> dict[str, Any]:
    return {"fold": fold, "seed": 0, "chosen": {}, "learned": {"layer_weights": weights}}


def test_weights_stand_beside_the_uniform_line() -> None:
    chart = weights_chart(
        "w", [weighted(0, [0.5, 0.3, 0.2, 0.0]), weighted(1, [0.1, 0.6, 0.2, 0.1]), {"fold": 2}]
    )
    assert chart is not None
    assert chart.rows == (
        ("0", "0", "0", "0.500", "0.300", "0.200", "0.000"),
        ("1", "0", "1", "0.100", "0.600", "0.200", "0.100"),
    )
    # Means of the folds: .30, .45, .20, .05.
    assert "Uniform would be 0.250" in chart.alt and "0.450, of layer 1" in chart.alt
    assert "uniform 0.250" in re.findall(r">([^<]+)</text>", chart.svg)


def test_folds_without_weights_or_of_different_encoders_have_no_figure() -> None:
    assert weights_chart("w", [chose(0, 1), {"learned": {}}, {"learned": None}]) is None
    assert weights_chart("w", [weighted(0, [0.5, 0.5]), weighted(1, [0.2, 0.3, 0.5])]) is None


def test_the_layer_that_each_fold_chose_is_said_and_drawn() -> None:
    fits = [chose(0, 2), chose(1, 2), chose(2, 1, C=0.1)]
    found = choices(fits)
    assert [(c.fold, c.layer, c.C) for c in found] == [(0, 2, 0.01), (1, 2, 0.01), (2, 1, 0.1)]
    assert found[0].scores == {0: pytest.approx(0.31), 1: pytest.approx(0.31), 2: pytest.approx(0.41)}
    chart = choices_chart("e", found)
    assert chart is not None and chart.alt.endswith("Chosen: layer 1 once and layer 2 2 times.")
    assert [row[2:] for row in chart.rows] == [
        ("2", "0.01", "41.0"),
        ("2", "0.01", "41.0"),
        ("1", "0.1", "41.0"),
    ]


def test_histories_over_layers_are_no_curves_over_c() -> None:
    assert curves([chose(0, 1)]) == ("", [])
    assert (
        choices([{"fold": 0, "chosen": {"C": 0.1}, "history": [{"C": 0.1, "uar": 0.5}]}, {"chosen": None}])
        == []
    )
    assert choices_chart("e", []) is None
    # Chosen among one: nothing to draw.
    assert choices_chart("e", choices([{"fold": 0, "chosen": {"layer": 3, "C": 0.1}, "history": []}])) is None


def test_the_page_of_a_run_shows_both(make: Make) -> None:
    system = make(clips=8)
    probe = replace(system, fits=[chose(fold, fold % 3) for fold in range(6)])
    root = read(html([probe]))
    assert len(figure(root, "s0-choices").all("table")[0].rows) == 7
    names = {f.attributes["id"] for f in root.all("figure")}
    assert "s0-weights" not in names and "s0-curves" not in names
    frozen = replace(system, fits=[weighted(fold, [0.2] * 5) for fold in range(6)])
    assert figure(read(html([frozen])), "s0-weights").all("table")[0].rows[1][3:] == ["0.200"] * 5


def band(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.01, "high": value + 0.01}


def known(layers: int = 5, **changes: Any) -> dict[str, Any]:
    """What ``layers.json`` may hold."""
    rows = [
        {
            "layer": k, "name": str(k), "width": 8,
            "saliency": {"score": band(0.1 + 0.01 * (k == 3)), "correlation": band(0.08), "targets": [0.1]},
            "emotion": {"uar": 0.4 + 0.02 * k, "low": 0.35, "high": 0.6},
            "speaker": {"uar": 0.9 - 0.1 * k, "low": 0.2, "high": 0.95},
        }
        for k in range(layers)
    ]  # fmt: skip
    asked = {
        "held_out": "sentences",
        "inner_folds": 2,
        "classes": 16,
        "chance": 1 / 16,
        "n_clips": 960,
        "C": 0.01,
    }
    return {
        "corpus": "ravdess", "protocol": "ravdess-balanced6", "fold": 0, "stamps": [], "n_clips": 960,
        "n_speakers": 16, "targets": "labels", "columns": ["a", "b"], "layers": rows,
        "salient": {"layer": 3, "name": "3", "share": 0.9, "by_correlation": 3},
        "emotion": {**asked, "held_out": "speakers", "classes": 8, "chance": 0.125}, "speaker": asked, **changes,
    }  # fmt: skip


def drawn(svg: str) -> list[str]:
    return re.findall(r">([^<]+)</text>", svg)


def test_what_layers_know_has_a_panel_a_question_and_says_who_was_heard() -> None:
    chart = layers_chart("l", known())
    said = drawn(chart.svg)
    assert {"saliency", "chance 12.5", "chance 6.2", "salient"} <= set(said) and "weight" not in said
    assert "no score for unheard people" in chart.note and "other sentences of theirs" in chart.note
    assert chart.columns[6:] == (
        "emotion UAR %",
        "95 % interval",
        "UAR % for training speakers",
        "95 % interval",
    )
    assert chart.rows[3][:6] == ("3", "3", "0.110", "[0.100, 0.120]", "0.080", "[0.070, 0.090]")
    assert chart.rows[3][6:] == ("46.0", "[35.0, 60.0]", "60.0", "[20.0, 95.0]")
    assert "highest at layer 3" in chart.alt and "highest at layer 4 (48.0 %)" in chart.alt


def test_learned_weights_and_missing_answers() -> None:
    plain = known()
    for layer in plain["layers"]:
        layer["weight"] = 0.2
        del layer["speaker"]
        for part in ("score", "correlation"):
            layer["saliency"][part] |= {"low": None, "high": None}
        layer["emotion"] |= {"low": None, "high": None}
    chart = layers_chart("l", {**plain, "speaker": None})
    said = drawn(chart.svg)
    assert "uniform 0.200" in said and "chance 6.2" not in said
    assert chart.rows[0] == ("0", "0", "0.100", "–", "0.080", "–", "40.0", "–", "0.200")
    assert "speaker" not in chart.note.replace("speakers", "")


def test_many_layers_keep_readable_ticks_and_names_are_escaped() -> None:
    many = layers_chart("l", known(25))
    ticks = [text for text in drawn(many.svg) if text.isdecimal()]
    assert {"0", "12", "24"} <= set(ticks) and "1" not in ticks
    evil = known(3)
    for layer in evil["layers"]:
        layer["name"] = "<b>&\u202e"
    chart = layers_chart(
        "l", {**evil, "salient": {"layer": 0, "name": "x", "share": None, "by_correlation": 0}}
    )
    assert (
        "<b>" not in chart.svg and "&lt;b&gt;" in chart.svg and "\u202e" not in chart.svg + chart.rows[0][1]
    )
