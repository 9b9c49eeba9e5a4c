"""Validation curves of several systems side by side, each with its score on test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from unheard.metrics.formatting import NONE, number
from unheard.report.figures.chart import Chart, svg
from unheard.report.figures.curves import Curve, curves, draw_fits, mean_curve, score_on_test, score_quantity
from unheard.report.system import System
from unheard.report.wording import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Panels of one row, and of the whole figure.
_WIDE, MOST = 2, 6


def validation_chart(name: str, systems: Sequence[System]) -> Chart | None:
    """Draw a panel a system that was trained in epochs, all on one scale; None where fewer than two were."""
    panels: list[tuple[System, list[Curve], str]] = []
    for system in systems:
        step, found = curves(system.fits)
        quantity = score_quantity(found)
        if step == "epochs" and quantity is not None:
            panels.append((system, found, quantity))
    panels = panels[:MOST]
    if len(panels) < 2:
        return None
    alt = "Validation scores over epochs: " + "; ".join(
        f"{printable(system.name)}, {len(found)} fits, {printable(quantity)}"
        for system, found, quantity in panels
    )
    rows = -(-len(panels) // _WIDE)

    def paint(figure: Figure) -> None:
        axes = figure.subplots(rows, _WIDE, sharey=True, squeeze=False)
        for axis, (system, found, quantity) in zip(axes.flat, panels, strict=False):
            draw_fits(axis, found, quantity, "epochs", score_on_test(system, quantity))
            axis.set_title(printable(system.name, 30), fontsize=7.5)
            axis.set_xlabel("epochs")
            axis.grid()
        for axis in list(axes.flat)[len(panels) :]:
            axis.set_visible(False)
        for row in axes:
            row[0].set_ylabel("validation score")

    return Chart(
        name,
        "Validation curves, side by side",
        svg(name, alt, 40 + 140 * rows, paint),
        alt,
        ("system", "validation score", "fits", "best mean on validation", "test score"),
        tuple(
            (
                printable(system.name),
                printable(quantity),
                str(len(found)),
                number(max(c for _, c in mean_curve(found, quantity)))
                if mean_curve(found, quantity)
                else NONE,
                score_on_test(system, quantity) or NONE,
            )
            for system, found, quantity in panels
        ),
        "A thin line is a fold and seed, the bold one their mean while at least half of them go on. The box has "
        "the score over all test clips, which took no part in choosing the epoch.",
    )
