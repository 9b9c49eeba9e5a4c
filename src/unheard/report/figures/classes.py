"""Recall, precision and F1 of each class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unheard.metrics.categorical import PerClass
from unheard.metrics.formatting import NONE, percent
from unheard.report.figures.chart import BLUE, GREY, PAPER, VERMILLION, Chart, score_axis, svg
from unheard.report.wording import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def classes_chart(name: str, scores: PerClass, classes: tuple[str, ...], seeds: int) -> Chart:
    """Draw a row a class with its recall and F1, the best first; classes that nobody expressed stand last.

    ``scores`` holds arrays of shape (C,), over the clips of all seeds.
    """
    spoken = [i for i in range(len(classes)) if scores.support[i] > 0]
    silent = [i for i in range(len(classes)) if not scores.support[i] > 0]
    order = [*sorted(spoken, key=lambda i: -scores.f1[i]), *silent]
    lowest, highest = (pick(spoken, key=lambda i: scores.f1[i]) for pick in (min, max))
    alt = (
        f"Recall and F1 of {len(classes)} classes. F1 is lowest for {printable(classes[lowest])} "
        f"({percent(scores.f1[lowest])} %) and highest for {printable(classes[highest])} "
        f"({percent(scores.f1[highest])} %)."
    )

    def paint(figure: Figure) -> None:
        axis = figure.subplots()
        where = np.arange(len(classes))
        recall, f1 = scores.recall[order], scores.f1[order]
        for i in where:
            axis.plot([recall[i], f1[i]], [i, i], color=GREY, linewidth=1)
        axis.plot(f1, where, "s", color=BLUE, markersize=6, label="F1")
        axis.plot(recall, where, "o", color=VERMILLION, markerfacecolor=PAPER, markersize=6, label="recall")
        axis.set_yticks(
            where, [printable(classes[i], 16) for i in order], fontsize=min(8.5, 200 / len(classes))
        )
        axis.set_ylim(len(classes) - 0.5, -0.5)
        axis.tick_params(axis="y", length=0)
        score_axis(axis, "percent", vertical=False, high=1.02)
        figure.legend(loc="outside upper center", ncols=2, frameon=False, handletextpad=0.3)

    return Chart(
        name,
        "Class by class",
        svg(name, alt, min(60 + 19 * len(classes), 420), paint),
        alt,
        ("class", "clips", "recall %", "precision %", "F1 %"),
        tuple(
            (
                printable(classes[i]),
                f"{scores.support[i] / seeds:,.0f}",
                percent(scores.recall[i]),
                percent(scores.precision[i]) if scores.support[i] else NONE,
                percent(scores.f1[i]),
            )
            for i in order
        ),
    )
