from __future__ import annotations

from typing import Any

import pytest
from reading import figure, read, table
from test_report_layer_choices import known

from unheard.report.layers import layers_html, savings, sentences


def test_the_page_holds_figure_numbers_and_encoder() -> None:
    saving = {"layer": 3, "clips": 4, "seconds": {"whole": 2.0, "cut": 1.5}}
    text = layers_html(known(recipe="probe", encoder={"name": "wavlm", "cut": None}, saving=saving))
    assert text == layers_html(known(recipe="probe", encoder={"name": "wavlm", "cut": None}, saving=saving))
    root = read(text)
    assert root.all("h1")[0].words == "probe"
    assert len(figure(root, "layers").all("table")[0].rows) == 6
    assert table(root, "Settings of the encoder") == [["setting", "value"], ["name", "wavlm"]]
    assert (
        "960 training clips of 16 speakers of fold 0 of ravdess-balanced6; nobody else was used."
        in root.words
    )
    assert "Salient: layer 3, highest in 90 % of the draws of speakers." in root.words
    assert "Cutting at the salient layer saves 25 % of the time on 4 clips (2.00 s → 1.50 s)." in root.words
    assert "None of them is a result" in root.words


def test_stamps_stand_on_the_page_with_their_meaning() -> None:
    root = read(layers_html(known(stamps=["RANDOM WEIGHTS", "LEAKY"])))
    assert [s.words for s in root.all("span") if s.attributes.get("class") == "stamp"] == [
        "RANDOM WEIGHTS",
        "LEAKY",
    ]
    assert "a model with random weights" in root.words


def test_a_layer_that_only_repetition_makes_salient_is_named() -> None:
    salient = {"layer": 3, "name": "3", "share": None, "by_correlation": 1}
    said = sentences(known(salient=salient))
    assert "Salient: layer 3." in said
    assert "By r alone it would be layer 1: dims that repeat each other decide." in said
    assert not any("By r alone" in text for text in sentences(known()))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"salient": {"layer": 4, "name": "4", "share": 1.0, "by_correlation": 4}},
         ["It is the last layer: cutting there saves nothing."]),
        ({"saving": None}, []),
        ({"saving": {"parameters": {"whole": 315_400_000, "cut": 265_000_000},
                     "multiply_adds": {"whole": 20_000_000_000, "cut": 17_000_000_000}}},
         [("Cutting at the salient layer saves 50.4 M of 315.4 M parameters (16.0 %), "
           "3.0 G of 20.0 G multiply-adds of a clip (15.0 %).")]),
    ],
)  # fmt: skip
def test_savings_are_said_as_far_as_they_are_known(changes: dict[str, Any], said: list[str]) -> None:
    assert savings(known(**changes)) == said


def test_no_string_becomes_html() -> None:
    evil = "<script>alert(1)</script>\u202e"
    found = known(3, recipe=evil, protocol=evil, stamps=[evil], encoder={"model": evil, evil: 1})
    for layer in found["layers"]:
        layer["name"] = evil
    text = layers_html({**found, "salient": {"layer": 1, "name": evil, "share": 0.5, "by_correlation": 0}})
    root = read(text)
    assert not root.all("script") and "\u202e" not in text
    assert root.all("h1")[0].words == "<script>alert(1)</script>\ufffd"
