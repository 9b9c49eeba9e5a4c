from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np
import pytest

from unheard.metrics.probabilistic import reliability
from unheard.report.anchors import anchors
from unheard.report.figures.axis import axis_chart, axis_rows
from unheard.report.figures.chart import shade, svg
from unheard.report.figures.confusion import commonest_confusion, confusion_chart
from unheard.report.figures.curves import curves, curves_chart, mean_curve, score_on_test
from unheard.report.figures.fold_dots import fold_dots_chart
from unheard.report.figures.folds import called, fold_scores
from unheard.report.figures.reliability import reliability_chart
from unheard.report.figures.speakers import SpeakerScore, speakers_chart
from unheard.report.figures.temperatures import temperatures_chart
from unheard.report.figures.validation import validation_chart
from unheard.report.system import System

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Make = Callable[..., System]


def dots(figure: Figure) -> None:
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], "o--", clip_on=True)
    axis.fill([0, 1, 1], [0, 0, 1], hatch="//")
    axis.set_title('a <b> & "c" id="d" $x_1$')


def test_a_drawing_is_one_self_contained_element() -> None:
    drawing = svg("one", "Two dots & a line", 100, dots)
    root = ElementTree.fromstring(drawing)
    assert root.attrib["aria-label"] == "Two dots & a line" and root.attrib["viewBox"] == "0 0 360 100"
    assert "width" not in root.attrib and "http" not in drawing and "<style" not in drawing
    ids = re.findall(r'\bid="([^"]+)"', drawing.replace('id="d"', ""))
    used = re.findall(r'(?:href="#|url\(#)([^")]+)', drawing)
    assert ids and set(ids) == set(used) and len(set(ids)) == len(ids)
    assert all(name.startswith("one-") for name in ids)
    titles = [node.text for node in root.iter("text")]
    assert 'a <b> & "c" id="d" $x_1$' in titles
    assert "font-family" not in drawing


def test_drawings_repeat_and_share_no_ids() -> None:
    assert svg("one", "x", 100, dots) == svg("one", "x", 100, dots)
    first, second = (set(re.findall(r' id="([^"]+)"', svg(name, "x", 100, dots))) for name in ("one", "two"))
    assert first.isdisjoint(second - {"d"})


def test_drawing_leaves_the_users_settings_alone() -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    svg("one", "x", 100, dots)
    assert dict(matplotlib.rcParams) == before


def test_ink_contrasts_with_every_shade() -> None:
    def luminance(colour: tuple[float, float, float]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    darkness = []
    for value in np.linspace(0, 1, 101):
        colour, ink = shade(float(value), 1.0)
        text = {"white": 1.0, "black": 0.0}[ink]
        light, dark = sorted((luminance(colour), text), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, value
        darkness.append(luminance(colour))
    assert all(a > b for a, b in pairwise(darkness))


def test_published_figures_are_whole_and_say_where_they_come_from(system: System) -> None:
    found = anchors([system])
    assert len(found) > 20 and len({(a.system, a.protocol, a.training_speakers) for a in found}) == len(found)
    for a in found:
        assert a.source and a.protocol and "not published" not in a.source
        scores = [s for s in (a.accuracy, a.uar, *(a.accuracy_range or ())) if s is not None]
        assert scores and all(0.3 < s < 0.95 for s in scores)
        assert (a.sd is None) == (a.ddof is None) and a.ddof in (None, 0, 1)
        assert (a.low is None) == (a.high is None)
        if a.low is not None and a.high is not None and a.uar is not None:
            assert a.low < a.uar < a.high
    assert {a.training_speakers for a in found} >= {16, 18, 19, 20, 23, None}
    assert [a.protocol for a in found if a.leaky] == ["random split"]


def test_published_figures_stand_beside_their_own_task_alone(make: Make) -> None:
    assert not anchors([make(clips=8, corpus="emodb")])
    assert not anchors([make(clips=7, classes=("a", "b", "c"))])
    assert not anchors([make(clips=8, stamps=("SYNTHETIC",))])


def test_a_recipes_own_quotations_join_once(make: Make) -> None:
    system = make(clips=8)
    quoted = [
        {"system": "eGeMAPS", "protocol": "loso", "train_speakers": 23, "uar": 53.1, "source": "same"},
        {"system": "new", "protocol": "loso", "train_speakers": 23, "accuracy": 51.5, "source": "elsewhere"},
    ]
    fresh = System(system.name, {**system.results, "published": quoted}, system.predictions, None)
    added = [a for a in anchors([fresh, fresh]) if a not in anchors([system])]
    assert [(a.system, a.accuracy, a.training_speakers) for a in added] == [("new", 0.515, 23)]


def test_axis_keeps_stamped_rows_apart_and_every_row_says_its_training_speakers(make: Make) -> None:
    fair, leaky = make("fair", clips=8), make("leaky", clips=8, stamps=("LEAKY",))
    published = anchors([fair, leaky])
    rows = axis_rows([fair, leaky], published, "accuracy")
    plain = [row for row in rows if not row.stamps]
    stamped = rows[len(plain) :]
    assert all(row.stamps for row in stamped)
    assert not any(row.stamps for row in axis_rows([fair], published, "accuracy"))
    assert [row.system for row in stamped if row.ours] == ["leaky"]
    places = [row.place for row in plain]
    assert places == sorted(places, reverse=True)
    chart = axis_chart("a", rows, "accuracy", 0.125)
    drawn = " ".join(re.findall(r">([^<]+)</text>", chart.svg))
    mine = f"{100 * fair.results['metrics']['accuracy']['pooled']:.1f}  (16)"
    assert mine in drawn and "81.7  (23)" in drawn and "70.3 ± 6.5  (16)" in drawn
    row = next(row for row in chart.rows if row[0].startswith("WavLM-large frozen"))
    assert row[2:4] == ("16", "70.3 ± 6.5") and "ddof 0" in row[-1]


def test_confusion_shares_are_empty_where_a_class_is_never_spoken() -> None:
    counts = np.array([[3.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    chart = confusion_chart("c", counts, ("a", "b"), seeds=1)
    assert chart.rows == (("a", "3 (75.0 %)", "1 (25.0 %)"), ("b", "0", "0"))
    assert "a is taken for b in 25 %" in chart.note
    drawn = re.findall(r">([^<]+)</text>", chart.svg)
    assert drawn.count("75") == drawn.count("3") == drawn.count("25") == 1


def test_perfect_predictions_have_no_worst_error() -> None:
    counts = np.array([[3.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    assert "There is no error" in confusion_chart("c", counts, ("a", "b"), seeds=1).note
    assert commonest_confusion(counts, ("a", "b")) is None
    silent = commonest_confusion(np.array([[3.0, 0.0, 1.0], [0.0, 2.0, 0.0]]), ("a", "b"))
    assert silent is not None and silent.words == "a gets no prediction in 25 % of its clips"


def test_curves_read_epochs_and_candidates_and_leave_out_what_does_not_fit() -> None:
    epochs = [{"epoch": e, "train_loss": 1.0 / (e + 1), "val_uar": 0.1 * e, "note": "x"} for e in range(5)]
    name, found = curves(
        [
            {"fold": 0, "seed": 0, "chosen": {"epochs": 4}, "history": epochs},
            {"fold": 1, "seed": 0, "chosen": None, "history": []},
            {"fold": 2, "seed": 0, "history": [{"C": 1.0, "uar": 0.5}]},
        ]
    )
    assert name == "epochs" and [c.fold for c in found] == [0]
    assert (
        found[0].steps == (1, 2, 3, 4, 5)
        and found[0].chosen == 4
        and set(found[0].values) == {"train_loss", "val_uar"}
    )
    chart = curves_chart("x", name, found)
    assert chart is not None and chart.rows == (("0", "0", "5", "4", "0.300"),)
    name, found = curves([{"fold": 0, "seed": 0, "chosen": {"C": 0.1}, "history": [{"C": 0.1, "uar": 0.5}]}])
    chart = curves_chart("x", name, found)
    assert chart is not None and chart.rows == (("0", "0", "1", "0.1", "0.500"),)
    assert curves_chart("x", *curves([{"history": [{"C": 1.0}], "chosen": {"C": 1.0}}])) is None


def test_the_bold_line_ends_where_fewer_than_half_of_the_fits_go_on_and_epochs_are_whole(make: Make) -> None:
    fits = [
        {"fold": f, "seed": 0, "chosen": {"epochs": 2},
         "history": [{"epoch": e, "val_uar": 0.1 * (f + 1) + 0.01 * e} for e in range(n)]}
        for f, n in enumerate((2, 3, 3, 6))
    ]  # fmt: skip
    step, found = curves(fits)
    assert mean_curve(found, "val_uar") == [
        (1, pytest.approx(0.25)), (2, pytest.approx(0.26)), (3, pytest.approx((0.22 + 0.32 + 0.42) / 3)),
    ]  # fmt: skip
    system = make(clips=16, fits=fits)
    assert (
        score_on_test(system, "val_uar") == f"test UAR {100 * system.results['metrics']['uar']['pooled']:.1f}"
    )
    assert score_on_test(system, "val_loss") is None
    chart = curves_chart("x", step, found, system)
    assert chart is not None
    ticks = [t for t in re.findall(r">([^<]+)</text>", chart.svg) if re.fullmatch(r"[\d.]+", t)]
    assert {"1", "2", "3", "4", "5", "6"} <= set(ticks) and "1.5" not in ticks


def test_systems_stand_side_by_side_with_those_with_a_stamp_in_columns_of_their_own(make: Make) -> None:
    fair, leaky = make("fair", clips=16), make("leaky", clips=16, stamps=("LEAKY",))
    chart = fold_dots_chart("x", [leaky, fair], 0.125)
    assert chart is not None and len(chart.rows) == 12
    assert [(row[0], row[3] == "–", row[4] == "–") for row in (chart.rows[0], chart.rows[-1])] == [
        ("fair", False, True), ("leaky", True, False),
    ]  # fmt: skip
    assert fold_dots_chart("x", [fair], 0.125) is None
    both = validation_chart("v", [fair, leaky])
    assert both is not None and len(both.rows) == 2
    for row, system in zip(both.rows, (fair, leaky), strict=True):
        said = f"test UAR {100 * system.results['metrics']['uar']['pooled']:.1f}"
        assert row[-1] == said and said in both.svg
    assert validation_chart("v", [fair]) is None


def test_folds_of_one_speaker_have_its_name_and_temperatures_a_line_at_1(make: Make) -> None:
    alone, several = (fold_scores(make(clips=16, speakers=6, folds=k)) for k in (6, 3))
    assert called(alone) == ("speaker", ["01", "02", "03", "04", "05", "06"])
    assert called(several) == ("fold", ["0", "1", "2"])
    chart = temperatures_chart("t", alone)
    assert chart is not None and chart.rows[0] == ("01", "1.20") and "1: unchanged" in chart.svg
    assert "6 of 6 lie above 1" in chart.alt
    assert temperatures_chart("t", [replace(fold, temperatures=()) for fold in alone]) is None


def test_a_bin_of_few_clips_has_a_count_and_no_point() -> None:
    sure = np.repeat([0.6, 0.95], [40, 4])
    bins = reliability(np.column_stack([sure, 1 - sure]), np.array([0] * 30 + [1] * 14))
    chart = reliability_chart("r", bins, 0.1)
    assert [row[2] for row in chart.rows] == ["40", "4"]
    drawn = re.findall(r">([^<]+)</text>", chart.svg)
    assert "40" in drawn and "4" in drawn
    six = np.repeat([0.6, 0.95], [40, 6])
    more = reliability_chart(
        "r", reliability(np.column_stack([six, 1 - six]), np.array([0] * 30 + [1] * 16)), 0.1
    )
    points = [one.svg.count("<use") for one in (chart, more)]
    assert points[1] > points[0]


def test_folds_show_each_seed(make: Make) -> None:
    system = make(clips=12, seeds=3)
    for fold in fold_scores(system):
        assert len(fold.seeds) == 3 and np.mean(fold.seeds) == pytest.approx(fold.accuracy)
        assert len(fold.speakers) == 4


def test_many_speakers_of_one_score_are_all_drawn() -> None:
    crowd = [SpeakerScore(f"s{i:03}", "female" if i % 2 else None, 10, 0.5, 0.5, None) for i in range(90)]
    chart = speakers_chart("s", crowd, 0.25)
    assert len(chart.rows) == 90 and chart.rows[0][2] == "–"
    assert "45 women 50.0 %" in chart.alt and "45 gender unknown 50.0 %" in chart.alt
