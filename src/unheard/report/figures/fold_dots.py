"""Several systems in one figure, a dot a fold: how far a score depends on who is tested."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from unheard.metrics.formatting import NONE, percent
from unheard.report.figures.chart import BLUE, GREY, INK, PAPER, VERMILLION, Chart, score_axis, svg
from unheard.report.figures.folds import FoldScore, fold_scores
from unheard.report.system import System
from unheard.report.wording import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def fold_dots_chart(name: str, systems: Sequence[System], chance: float | None) -> Chart | None:
    """Draw a row a system with a dot a fold and the score over all test clips as a bar; those with stamps below.

    None where fewer than two systems have folds of labelled clips.
    """
    found = [(s, fold_scores(s)) for s in systems if s.metric("accuracy") is not None]
    rows = sorted(((s, folds) for s, folds in found if folds), key=lambda row: bool(row[0].stamps))
    if len(rows) < 2:
        return None
    alt = f"Accuracy of {len(rows)} systems fold by fold: " + "; ".join(_range(s, f) for s, f in rows) + "."

    def paint(figure: Figure) -> None:
        axis = figure.subplots()
        if chance is not None:
            # Only where the marks are: a line through the names would cross them out.
            heights = range(len(rows))
            axis.vlines([chance] * len(rows), heights, [i + 0.36 for i in heights], color=INK, linewidth=0.9)
            axis.text(chance, len(rows) - 0.45, f" chance {percent(chance)}", fontsize=7.5, va="bottom")
        for i, (system, folds) in enumerate(rows):
            colour, marker = (VERMILLION, "X") if system.stamps else (BLUE, "o")
            stamps = f"  [{', '.join(system.stamps)}]" if system.stamps else ""
            label = printable(system.name, max(12, 60 - len(stamps))) + stamps
            axis.text(
                0, i - 0.2, label, transform=axis.get_yaxis_transform(), fontsize=7.5, fontweight="bold"
            )
            axis.plot([f.accuracy for f in folds], [i + 0.18] * len(folds), marker, color=colour,
                      markerfacecolor=PAPER, markersize=5, alpha=0.85)  # fmt: skip
            pooled = system.metric("accuracy") or 0.0
            axis.plot([pooled, pooled], [i, i + 0.36], color=INK, linewidth=2)
            axis.text(1, i - 0.2, percent(pooled), transform=axis.get_yaxis_transform(), fontsize=7.5, ha="right",
                      fontweight="bold")  # fmt: skip
        axis.set_ylim(len(rows) - 0.35, -0.6)
        axis.set_yticks([])
        axis.spines["left"].set_visible(False)
        score_axis(axis, "accuracy, percent", vertical=False)
        axis.tick_params(axis="x", colors=GREY)

    return Chart(
        name,
        "Fold by fold, side by side",
        svg(name, alt, 50 + 32 * len(rows), paint),
        alt,
        ("system", "fold", "test speakers", "accuracy %", "accuracy with a stamp %"),
        tuple(
            (
                printable(system.name),
                str(fold.fold),
                printable(", ".join(fold.speakers[:3])) + (" …" if len(fold.speakers) > 3 else "") or NONE,
                NONE if system.stamps else percent(fold.accuracy),
                percent(fold.accuracy) if system.stamps else NONE,
            )
            for system, folds in rows
            for fold in folds
        ),
        "A mark is a fold, the bar the score over all test clips. Systems with a stamp answer another question.",
    )


def _range(system: System, folds: Sequence[FoldScore]) -> str:
    low, high = min(f.accuracy for f in folds), max(f.accuracy for f in folds)
    return f"{printable(system.name)} {percent(low)} to {percent(high)} %"
