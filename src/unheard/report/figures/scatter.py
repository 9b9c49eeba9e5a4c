"""Each dimension clip by clip: what is predicted against what the graders said, with the line where both agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unheard.metrics.dimensional import ccc
from unheard.metrics.formatting import number
from unheard.metrics.rows import Rows
from unheard.report.figures.chart import BLUE, GREY, INK, Chart, svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Clips drawn of a dimension: more would only make the page heavy.
MOST = 250
#: Edges of the parts of the scale in the table.
EDGES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def scatter_chart(name: str, rows: Rows) -> Chart | None:
    """Draw up to :data:`MOST` clips of each dimension, evenly over the sorted clips; None without a prediction."""
    found = {}
    for d, dimension in enumerate(rows.dimensions):
        x, y = rows.dimension_truth[:, d], rows.predicted_dimensions[:, d]
        there = ~(np.isnan(x) | np.isnan(y))
        if there.any():
            found[dimension] = (x[there], y[there])
    if not found:
        return None
    said = ", ".join(f"{dimension} CCC {number(ccc(y, x))}" for dimension, (x, y) in found.items())
    alt = (
        f"Predictions against the mean of the graders, with the line of agreement: {said}. A cloud flatter "
        "than the line says less of the extremes than people do."
    )

    def paint(figure: Figure) -> None:
        axes = figure.subplots(1, len(found), sharex=True, sharey=True, squeeze=False)[0]
        for axis, (dimension, (x, y)) in zip(axes, found.items(), strict=True):
            drawn = np.unique(np.linspace(0, len(x) - 1, min(MOST, len(x))).round().astype(int))
            axis.plot(x[drawn], y[drawn], "o", color=BLUE, markersize=2.2, alpha=0.45, markeredgewidth=0)
            axis.plot([0, 1], [0, 1], color=INK, linewidth=0.9, linestyle=(0, (5, 3)))
            axis.set_title(dimension)
            axis.set_xlim(-0.03, 1.03)
            axis.set_ylim(-0.03, 1.03)
            axis.set_aspect("equal")
            axis.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
            axis.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
            axis.grid(color=GREY, alpha=0.2)
        axes[0].set_ylabel("predicted")
        figure.supxlabel("mean of the graders", fontsize=8.5)

    table = []
    for dimension, (x, y) in found.items():
        part = np.clip(np.digitize(x, EDGES[1:-1], right=True), 0, len(EDGES) - 2)
        for i in np.unique(part):
            here = part == i
            table.append(
                (dimension, f"{EDGES[i]:g} to {EDGES[i + 1]:g}", f"{here.sum():,}", number(x[here].mean()),
                 number(y[here].mean()), number(y[here].std()))
            )  # fmt: skip
    most = max(len(x) for x, _ in found.values())
    return Chart(
        name,
        "Dimensions clip by clip",
        svg(name, alt, 165 if len(found) > 1 else 240, paint),
        alt,
        ("dimension", "graders", "clips", "mean of graders", "mean predicted", "sd predicted"),
        tuple(table),
        f"Drawn are {MOST} of {most:,} predictions a dimension." if most > MOST else "",
    )
