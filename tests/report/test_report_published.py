from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from reading import read, table

from unheard.report.page import html
from unheard.report.published import references
from unheard.report.system import System

Make = Callable[..., System]


def quoting(system: System, /, **changes: Any) -> System:
    """The system with one published figure: on its own protocol, with its own number of training speakers."""
    figure = {
        "system": "WavLM-large, frozen",
        "protocol": system.protocol,
        "train_speakers": system.results["n_train_speakers"],
        "accuracy": 100 * (system.metric("accuracy") or 0),
        "source": "an article",
    }
    return replace(system, results={**system.results, "published": [{**figure, **changes}]})


@pytest.fixture(scope="module")
def ours(make: Make) -> System:
    return make("ours", clips=16)


def test_a_published_figure_agrees_where_it_lies_inside_our_interval(ours: System) -> None:
    low, high = (ours.metric("accuracy", end) for end in ("low", "high"))
    assert low is not None and high is not None
    for value, verdict in ((low, "agree"), (high, "agree"), (low - 1e-6, "differ"), (high + 1e-6, "differ")):
        (found,) = references(quoting(ours, accuracy=100 * value))
        assert found.verdict == verdict, value
    (found,) = references(quoting(ours, accuracy=90.0))
    by = 100 * (0.9 - (ours.metric("accuracy") or 0))
    assert f"ours is {by:.1f} points below the published figure" in found.words


@pytest.mark.parametrize(
    ("changes", "results", "reason"),
    [
        ({"train_speakers": 20}, {}, "ours has 16 training speakers, the published figure 20"),
        (
            {"protocol": "ravdess-loso24"},
            {},
            "ours is on ravdess-balanced6, the published figure on ravdess-loso24",
        ),
        ({}, {"stamps": ["RANDOM WEIGHTS"]}, "ours is stamped RANDOM WEIGHTS"),
        ({}, {"stamps": ["SYNTHETIC", "FEW SPEAKERS"]}, "ours is stamped SYNTHETIC and FEW SPEAKERS"),
        ({"protocol": "elsewhere"}, {"stamps": ["LEAKY"]}, "ours is stamped LEAKY and ours is on"),
        ({}, {"stamps": ["LEAKY", "RANDOM WEIGHTS"]}, "ours is stamped RANDOM WEIGHTS"),
        ({}, {"incomplete": ["fold 3"]}, "our run is incomplete"),
        ({"train_speakers": None}, {"n_train_speakers": None}, "ours has – training speakers"),
    ],
)
def test_what_is_another_task_is_not_compared(
    ours: System, changes: dict[str, Any], results: dict[str, Any], reason: str
) -> None:
    system = quoting(ours, **changes)
    (found,) = references(replace(system, results={**system.results, **results}))
    assert found.verdict == "cannot be compared" and reason in found.words
    assert "agree" not in found.words and "differ" not in found.words


def test_without_an_interval_nothing_is_compared(ours: System) -> None:
    system = quoting(ours)
    metrics = {
        **system.results["metrics"],
        "accuracy": {"mean": 0.5, "sd": 0.1, "pooled": 0.5, "low": None, "high": None},
    }
    (found,) = references(replace(system, results={**system.results, "metrics": metrics}))
    assert found.verdict == "cannot be compared" and "ours has no interval" in found.words


def test_on_one_leaky_protocol_both_are_leaky_and_it_is_said(ours: System) -> None:
    system = quoting(ours)
    (found,) = references(replace(system, results={**system.results, "stamps": ["LEAKY"]}))
    assert found.verdict == "agree" and "both are LEAKY" in found.words


def test_accuracy_and_uar_are_set_beside_their_own(ours: System) -> None:
    found = references(quoting(ours, uar=99.0))
    assert [(b.metric.label, b.verdict) for b in found] == [("accuracy", "agree"), ("UAR", "differ")]
    assert found[1].ours == ours.metric("uar") and found[0].ours == ours.metric("accuracy")
    assert references(ours) == []


def test_any_metric_of_the_results_may_be_quoted(ours: System) -> None:
    found = references(quoting(ours, macro_f1=10.0, nll=9.5))
    assert [(b.metric.label, b.published) for b in found[1:]] == [("macro F1", 0.1), ("NLL", 9.5)]
    assert "published 9.500, ours" in found[2].words


def test_the_page_says_both_numbers_of_training_speakers_and_the_verdict(ours: System) -> None:
    root = read(html([quoting(ours, train_speakers=20, uar=40.0)]))
    head, first, second = table(root, "Published reference of ours")
    cells = dict(zip(head, first, strict=True))
    assert (cells["training speakers"], cells["our training speakers"]) == ("20", "16")
    assert cells["verdict"] == "cannot be compared" and cells["source"] == "an article"
    accuracy = ours.results["metrics"]["accuracy"]
    assert cells["score"] == "accuracy %"
    assert cells["ours"] == f"{100 * accuracy['pooled']:.1f}"
    assert cells["our 95 % interval"] == f"[{100 * accuracy['low']:.1f}, {100 * accuracy['high']:.1f}]"
    assert dict(zip(head, second, strict=True))["published"] == "40.0"
    said = [li.words for li in root.all("li") if li.all("span")[0].words == "published"]
    assert len(said) == 2 and "ours has 16 training speakers, the published figure 20" in said[0]


def test_of_several_systems_each_has_its_own_figures_in_its_own_section(ours: System, make: Make) -> None:
    other = make("other", clips=16, seed=5, stamps=("RANDOM WEIGHTS",))
    root = read(html([quoting(ours), quoting(other, accuracy=70.3)]))
    assert dict(zip(*table(root, "Published reference of ours"), strict=True))["verdict"] == "agree"
    stamped = dict(zip(*table(root, "Published reference of other"), strict=True))
    assert stamped["verdict"] == "cannot be compared" and stamped["our stamps"] == "RANDOM WEIGHTS"
    assert not [li for li in root.all("li") if li.all("span")[0].words == "published"]


def test_no_quoted_string_becomes_html(ours: System) -> None:
    evil = "<script>alert(1)</script>\u202e"
    text = html([quoting(ours, system=evil, source=evil, protocol=evil)])
    root = read(text)
    assert not root.all("script") and "\u202e" not in text
    assert table(root, "Published reference of ours")[1][0] == "<script>alert(1)</script>\ufffd"
