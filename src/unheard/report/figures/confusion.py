"""Confusion matrices: counts, and the same with every row divided by its sum."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from unheard.metrics.formatting import NONE, percent
from unheard.report.figures.chart import GREY, Chart, shade, svg
from unheard.report.wording import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NO_PREDICTION = "no prediction"


def confusion_charts(
    name: str, counts: NDArray[np.float64], classes: tuple[str, ...], seeds: int
) -> tuple[Chart, Chart]:
    """Draw the counts and the row-normalised matrix.

    Parameters
    ----------
    counts
        Shape (C, C + 1): truth by prediction, the last column for clips without a prediction.
    classes
        Names in that order.
    seeds
        How many seeds the counts are summed over.
    """
    width = len(classes) + int(counts[:, -1].any())
    shown = counts[:, :width]
    sums = counts.sum(axis=1, keepdims=True)
    shares = np.divide(shown, sums, out=np.full(shown.shape, np.nan), where=sums > 0)
    predicted = (*classes, NO_PREDICTION)[:width]
    note = f"Summed over {seeds} seeds." if seeds > 1 else ""
    texts = [[str(int(v)) if v else "0" for v in row] for row in shown]
    rounded = [["" if v != v else f"{100 * v:.0f}" for v in row] for row in shares]
    mistake = _worst(shares, classes, predicted)
    return (
        _chart(
            f"{name}-counts", "Confusion, number of clips",
            f"Confusion matrix of {len(classes)} classes in clips, rows are the truth, columns the predictions: "
            f"{int(np.trace(counts)):,} of {int(counts.sum()):,} lie on the diagonal.",
            shown / max(float(shown.max()), 1.0), texts, texts, classes, predicted, note,
        ),
        _chart(
            f"{name}-shares", "Confusion, percent of each true class",
            f"The same matrix in percent of each row, so that the diagonal is the recall of a class. {mistake}",
            shares, rounded, [[percent(v) for v in row] for row in shares], classes, predicted,
            f"Each row sums to 100 but for rounding. {mistake}",
        ),
    )  # fmt: skip


def _worst(shares: NDArray[np.float64], classes: tuple[str, ...], predicted: tuple[str, ...]) -> str:
    """Say which error is the most frequent for its class."""
    wrong = np.nan_to_num(shares.copy())
    wrong[np.arange(len(classes)), np.arange(len(classes))] = 0
    if not wrong.any():
        return "There is no error."
    row, column = np.unravel_index(int(wrong.argmax()), wrong.shape)
    said = (
        "gets no prediction"
        if predicted[column] == NO_PREDICTION
        else f"is predicted as {printable(predicted[column])}"
    )
    share = percent(wrong[row, column], 0)
    return f"The most frequent error: {printable(classes[row])} {said} in {share} % of its clips."


def _chart(
    name: str,
    title: str,
    alt: str,
    levels: NDArray[np.float64],
    texts: list[list[str]],
    cells: list[list[str]],
    classes: tuple[str, ...],
    predicted: tuple[str, ...],
    note: str,
) -> Chart:
    longest = max(len(text) for row in texts for text in row)
    size = max(3.5, min(8.5, 90 / len(classes), 300 / len(predicted) / max(longest, 1) * 1.3))

    def paint(figure: Figure) -> None:
        axis = figure.subplots()
        shades = [[shade(0.0 if v != v else float(v), 1.0) for v in row] for row in levels]
        colours = np.array([[colour for colour, _ in row] for row in shades])
        axis.pcolormesh(range(len(predicted)), range(len(classes)), colours, shading="nearest")
        for i, row in enumerate(texts):
            for j, text in enumerate(row):
                ink = GREY if text == "0" else shades[i][j][1]
                cell = axis.text(j, i, text or NONE, color=ink, ha="center", va="center", fontsize=size,
                                 fontweight="bold" if i == j else "normal")  # fmt: skip
                # Inside the axes anyway; measuring every one is what would take time.
                cell.set_in_layout(False)
        for i in range(len(classes)):
            axis.plot(
                [i - 0.5, i + 0.5, i + 0.5, i - 0.5, i - 0.5], [i - 0.5, i - 0.5, i + 0.5, i + 0.5, i - 0.5],
                color=GREY, linewidth=0.8,
            )  # fmt: skip
        label = min(8.5, 130 / len(classes))
        axis.set_xticks(range(len(predicted)), [printable(c, 14) for c in predicted], rotation=40, ha="right",
                        rotation_mode="anchor", fontsize=label)  # fmt: skip
        axis.set_yticks(range(len(classes)), [printable(c, 14) for c in classes], fontsize=label)
        axis.set_xlim(-0.5, len(predicted) - 0.5)
        axis.set_ylim(len(classes) - 0.5, -0.5)
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        axis.set_xlabel("prediction")
        axis.set_ylabel("truth")

    return Chart(
        name,
        title,
        svg(name, alt, 310, paint),
        alt,
        ("truth", *(printable(c) for c in predicted)),
        tuple((printable(c), *row) for c, row in zip(classes, cells, strict=True)),
        note,
    )
