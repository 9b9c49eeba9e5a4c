"""How well each dimension is predicted: its concordance with the truth, with the interval over speakers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from unheard.metrics.block import Metric
from unheard.metrics.dimensional import MEAN
from unheard.metrics.formatting import interval, number
from unheard.report.figures.chart import BLUE, GREY, INK, Chart, svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def dimensions_chart(name: str, metrics: Sequence[tuple[Metric, Mapping[str, Any]]]) -> Chart | None:
    """Draw the pooled CCC of each dimension and of their mean; None where no dimension is scored."""
    found = {
        metric.name.removesuffix(".ccc"): estimate
        for metric, estimate in metrics
        if metric.name.endswith(".ccc") and estimate["pooled"] is not None
    }
    if not found:
        return None
    alt = "Concordance correlation coefficient of " + ", ".join(
        f"{dimension}: {number(estimate['pooled'])} {interval(estimate['low'], estimate['high'], False)}"
        for dimension, estimate in found.items()
    )

    def paint(figure: Figure) -> None:
        axis = figure.subplots()
        axis.axvline(0, color=INK, linewidth=0.9)
        for i, (dimension, estimate) in enumerate(found.items()):
            colour = GREY if dimension == MEAN else BLUE
            if estimate["low"] is not None and estimate["high"] is not None:
                axis.plot([estimate["low"], estimate["high"]], [i, i], color=colour, linewidth=2)
            axis.plot([estimate["pooled"]], [i], "o", color=colour, markersize=6.5)
            axis.text(1, i - 0.16, number(estimate["pooled"]), fontsize=7.5, ha="right", fontweight="bold",
                      transform=axis.get_yaxis_transform())  # fmt: skip
        axis.set_yticks(range(len(found)), list(found))
        axis.set_ylim(len(found) - 0.5, -0.5)
        axis.margins(x=0.08)
        axis.set_xlabel("CCC")
        axis.grid(axis="x")

    return Chart(
        name,
        "Dimension by dimension",
        svg(name, alt, 50 + 28 * len(found), paint),
        alt + ".",
        ("dimension", "CCC", "95 % interval"),
        tuple(
            (dimension, number(estimate["pooled"]), interval(estimate["low"], estimate["high"], False))
            for dimension, estimate in found.items()
        ),
        "Over all test clips, with 95 % intervals over speakers. 1: predictions and truth are equal; 0: they have "
        "nothing to do with each other.",
    )
