"""Classes against classes as shaded cells: the percent of each row, and the clips below."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from unheard.metrics.formatting import NONE, percent
from unheard.report.figures.chart import GREY, shade
from unheard.report.wording import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Of a cell without clips, in light and dark alike.
_MUTED = "#6b7281"


def paint_matrix(
    figure: Figure,
    counts: NDArray[np.float64],
    shares: NDArray[np.float64],
    rows: tuple[str, ...],
    columns: tuple[str, ...],
    *,
    row_label: str = "truth",
    column_label: str = "prediction",
) -> None:
    """Paint counts (R, C) and their shares of each row, the diagonal in a frame; NaN where a row is empty."""
    large = max(3.5, min(8.5, 90 / len(rows), 300 / len(columns) / 2.2))
    below = fits_twice(len(columns))
    axis = figure.subplots()
    shades = [[shade(0.0 if v != v else float(v), 1.0) for v in row] for row in shares]
    colours = np.array([[colour for colour, _ in row] for row in shades])
    axis.pcolormesh(range(len(columns)), range(len(rows)), colours, shading="nearest")
    for i, row in enumerate(shares):
        for j, value in enumerate(row):
            text = NONE if value != value else f"{100 * value:.0f}"
            written = [(text, -0.13 if below else 0.0, large, "bold" if i == j else "normal")]
            if below:
                written.append((f"{counts[i, j]:.0f}", 0.25, 0.68 * large, "normal"))
            for words, down, size, weight in written:
                drawn = axis.text(j, i + down, words, color=_MUTED if not counts[i, j] else shades[i][j][1],
                                  ha="center", va="center", fontsize=size, fontweight=weight)  # fmt: skip
                # Inside the axes anyway; measuring every one is what would take time.
                drawn.set_in_layout(False)
    for i in range(len(rows)):
        axis.plot(
            [i - 0.5, i + 0.5, i + 0.5, i - 0.5, i - 0.5], [i - 0.5, i - 0.5, i + 0.5, i + 0.5, i - 0.5],
            color=GREY, linewidth=0.8,
        )  # fmt: skip
    label = min(8.5, 130 / len(rows))
    axis.set_xticks(range(len(columns)), [printable(c, 14) for c in columns], rotation=40, ha="right",
                    rotation_mode="anchor", fontsize=label)  # fmt: skip
    axis.set_yticks(range(len(rows)), [printable(c, 14) for c in rows], fontsize=label)
    axis.set_xlim(-0.5, len(columns) - 0.5)
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.set_xlabel(column_label)
    axis.set_ylabel(row_label)


def fits_twice(columns: int) -> bool:
    """Return whether a cell has place for the clips below the percentage."""
    return columns <= 12


def cell(count: float, share: float) -> str:
    """Return ``12 (40.0 %)``: a cell in the table of the figure; the count alone where its row is empty."""
    return f"{count:.0f}" + ("" if share != share else f" ({percent(share)} %)")
