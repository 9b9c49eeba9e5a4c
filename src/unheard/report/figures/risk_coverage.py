"""The risk-coverage curve: how often the system is wrong where it answers only its surest clips."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from unheard.decide.abstain import risk_coverage
from unheard.metrics.formatting import interval, number, percent
from unheard.metrics.rows import Rows
from unheard.report.figures.chart import BLUE, INK, Chart, score_axis, svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Coverages in the table.
COVERAGES = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


def risk_coverage_chart(name: str, rows: Rows, aurc: Mapping[str, Any] | None) -> Chart | None:
    """Draw the curve of the labelled clips; ``aurc`` is the estimate of the results. None without a prediction."""
    curve = risk_coverage(rows.probabilities, rows.label)
    if not len(curve.coverage):
        return None
    area = "" if aurc is None else f"{number(aurc['pooled'])} {interval(aurc['low'], aurc['high'], False)}"
    table = []
    for wanted in COVERAGES:
        i = int(np.searchsorted(curve.coverage, wanted - 1e-9))
        if i < len(curve.coverage):
            table.append((percent(curve.coverage[i]), percent(curve.threshold[i]), percent(curve.risk[i])))
    alt = (
        "Share of errors against the share of clips that are answered, the surest first"
        + (f"; area {area}" if area else "")
        + ": "
        + ", ".join(f"{risk} % of the surest {coverage} %" for coverage, _, risk in table)
        + "."
    )

    def paint(figure: Figure) -> None:
        axis = figure.subplots()
        axis.axhline(
            curve.risk[-1], color=INK, linewidth=0.9, linestyle=(0, (5, 3)), label="all clips answered"
        )
        # Hundreds of points are enough for a line.
        kept = np.unique(np.linspace(0, len(curve.risk) - 1, 300).round().astype(int))
        axis.plot(curve.coverage[kept], curve.risk[kept], color=BLUE, label="only the surest answered")
        score_axis(axis, "wrong, percent", high=max(0.05, 1.1 * float(curve.risk[kept].max())))
        score_axis(axis, "clips answered, percent", vertical=False, high=1.02)
        figure.legend(loc="outside upper center", ncols=2, frameon=False, columnspacing=1.2)

    return Chart(
        name,
        "What does it buy to be silent?",
        svg(name, alt, 210, paint),
        alt,
        ("answered %", "from confidence %", "wrong %"),
        tuple(table),
        f"Area under the curve {area}; smaller is better." if area else "",
    )
