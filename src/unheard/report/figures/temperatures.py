"""The temperature of each fold, and the line at 1, where nothing is changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from unheard.metrics.formatting import number
from unheard.report.figures.chart import BLUE, INK, Chart, svg
from unheard.report.figures.folds import FoldScore, called, fold_ticks
from unheard.report.wording import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def temperatures_chart(name: str, folds: Sequence[FoldScore]) -> Chart | None:
    """Draw a dot a fold and seed; None where no fold has a temperature."""
    fitted = [fold for fold in folds if fold.temperatures]
    if not fitted:
        return None
    values = [t for fold in fitted for t in fold.temperatures]
    above = sum(value > 1 for value in values)
    alt = (
        f"Temperatures of {len(fitted)} folds, from {number(min(values), 2)} to {number(max(values), 2)}; "
        f"{above} of {len(values)} lie above 1, where probabilities are made less sure."
    )

    def paint(figure: Figure) -> None:
        axis = figure.subplots()
        axis.axhline(1, color=INK, linewidth=0.9, linestyle=(0, (5, 3)))
        axis.text(1, 1, "1: unchanged", transform=axis.get_yaxis_transform(), ha="right", va="bottom",
                  fontsize=7.5)  # fmt: skip
        for i, fold in enumerate(fitted):
            axis.plot([i] * len(fold.temperatures), fold.temperatures, "o", color=BLUE, markersize=5)
        axis.set_ylim(min(0.9, min(values) - 0.1), max(1.15, max(values) + 0.1))
        axis.set_ylabel("temperature")
        axis.grid(axis="y")
        fold_ticks(axis, fitted)

    what, labels = called(fitted)
    return Chart(
        name,
        "Temperatures",
        svg(name, alt, 150, paint),
        alt,
        (what, "temperature"),
        tuple(
            (printable(label), ", ".join(number(t, 2) for t in fold.temperatures))
            for label, fold in zip(labels, fitted, strict=True)
        ),
        "Fitted on each fold's validation speakers. Above 1 the probabilities are made less sure, below 1 surer.",
    )
