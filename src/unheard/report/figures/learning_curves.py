"""The score over the number of training clips a class or training speakers, a line a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from unheard.metrics.formatting import interval, percent
from unheard.report.figures.chart import BLUE, INK, VERMILLION, Chart, score_axis, svg
from unheard.report.wording import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: What one of the numbers on the axis is.
OF = {"clips": "clips a class", "speakers": "speakers"}
_LOOKS = (
    (BLUE, "-", "o"),
    (VERMILLION, (0, (4, 2)), "s"),
    ("#009E73", (0, (1, 1)), "^"),
    ("#CC79A7", (0, (5, 1, 1, 1)), "v"),
    ("#56B4E9", (0, (3, 1)), "P"),
    ("#E69F00", (0, (6, 2, 1, 2)), "X"),
)
#: Between the marks of two recipes, as a share of the number, so that their intervals stand side by side.
_APART = 0.03


def curves_chart(name: str, found: Mapping[str, Any]) -> Chart:
    """Draw UAR with its band over draws and its interval over speakers; ``found`` is as in ``curve.json``."""
    curves = found["curves"]
    unit = OF[found["by"]]
    sizes = sorted({point["n"] for curve in curves for point in curve["points"]})
    chance = found["chance"]
    alt = " ".join(_said(curve, unit) for curve in curves)

    def paint(figure: Figure) -> None:
        axis = figure.subplots()
        axis.set_xscale("log")
        for number, curve in enumerate(curves):
            colour, dash, marker = _LOOKS[number % len(_LOOKS)]
            shift = (1 + _APART) ** (number - (len(curves) - 1) / 2)
            points = curve["points"]
            places = [point["n"] * shift for point in points]
            scores = [point["uar"] for point in points]
            axis.fill_between(
                places, [s["least"] for s in scores], [s["most"] for s in scores],
                color=colour, alpha=0.15, linewidth=0,
            )  # fmt: skip
            for place, score in zip(places, scores, strict=True):
                if score["low"] is not None:
                    axis.vlines(place, score["low"], score["high"], color=colour, linewidth=0.9)
            axis.plot(places, [s["pooled"] for s in scores], color=colour, linestyle=dash, marker=marker,
                      markersize=4.5, label=printable(curve["recipe"], 40))  # fmt: skip
        axis.axhline(
            chance, color=INK, linewidth=0.9, linestyle=(0, (5, 3)), label=f"chance {percent(chance)}"
        )
        axis.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axis.set_xticks([], minor=True)
        axis.set_xlabel(f"training {unit}")
        score_axis(axis, "UAR, percent")
        figure.legend(loc="outside upper center", ncols=2, frameon=False, handletextpad=0.4, fontsize=7.5)

    return Chart(
        name,
        "What more training data is worth",
        svg(name, alt, 230 + 12 * (len(curves) // 2), paint),
        alt,
        (
            "recipe",
            unit,
            "training clips",
            "UAR %",
            "95 % over speakers",
            "over draws",
            "draws",
            "accuracy %",
        ),
        tuple(_row(curve, point) for curve in curves for point in curve["points"]),
        "Each mark is the mean over draws of the training clips; the band goes from the lowest draw to the "
        "highest. Bars are 95 % intervals over test speakers, draws averaged inside. The test clips are the same "
        "everywhere.",
    )


def _row(curve: Mapping[str, Any], point: Mapping[str, Any]) -> tuple[str, ...]:
    uar = point["uar"]
    return (
        curve["recipe"],
        f"{point['n']:,}",
        f"{point['n_train_clips']:,.0f}",
        percent(uar["pooled"]),
        interval(uar["low"], uar["high"]),
        f"{percent(uar['least'])} to {percent(uar['most'])}",
        str(curve["draws"]),
        percent(point["accuracy"]["pooled"]),
    )


def _said(curve: Mapping[str, Any], unit: str) -> str:
    steps = ", ".join(f"{percent(point['uar']['pooled'])} % at {point['n']}" for point in curve["points"])
    return f"UAR of {curve['recipe']} by training {unit}: {steps}."
