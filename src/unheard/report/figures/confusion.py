"""The confusion matrix: percent of each true class, and the clips below."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from unheard.metrics.formatting import NONE, percent
from unheard.report.figures.chart import GREY, Chart, shade, svg
from unheard.report.wording import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NO_PREDICTION = "no prediction"


def confusion_chart(name: str, counts: NDArray[np.float64], classes: tuple[str, ...], seeds: int) -> Chart:
    """Draw the matrix in percent of each true class, with the number of clips below each percentage.

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
    mistake = commonest_confusion(counts, classes)
    said = f"The most frequent error: {mistake.words}." if mistake else "There is no error."
    alt = (
        f"Confusion matrix of {len(classes)} classes, rows are the truth, columns the predictions: "
        f"{int(np.trace(counts)):,} of {int(counts.sum()):,} clips lie on the diagonal. {said}"
    )
    cells = 300 / len(predicted)
    large = max(3.5, min(8.5, 90 / len(classes), cells / 2.2))
    below = len(predicted) <= 12

    def paint(figure: Figure) -> None:
        axis = figure.subplots()
        shades = [[shade(0.0 if v != v else float(v), 1.0) for v in row] for row in shares]
        colours = np.array([[colour for colour, _ in row] for row in shades])
        axis.pcolormesh(range(len(predicted)), range(len(classes)), colours, shading="nearest")
        for i, row in enumerate(shares):
            for j, value in enumerate(row):
                text = NONE if value != value else f"{100 * value:.0f}"
                written = [(text, -0.13 if below else 0.0, large, "bold" if i == j else "normal")]
                if below:
                    written.append((f"{shown[i, j]:.0f}", 0.25, 0.68 * large, "normal"))
                for words, down, size, weight in written:
                    cell = axis.text(j, i + down, words, color=_MUTED if not shown[i, j] else shades[i][j][1],
                                     ha="center", va="center", fontsize=size, fontweight=weight)  # fmt: skip
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
        "Confusion: percent of each true class" + (", and clips" if below else ""),
        svg(name, alt, 330, paint),
        alt,
        ("truth", *(printable(c) for c in predicted)),
        tuple(
            (printable(c), *(_cell(n, share) for n, share in zip(own, row, strict=True)))
            for c, own, row in zip(classes, shown, shares, strict=True)
        ),
        "Each row sums to 100 but for rounding: the diagonal is the recall of a class. "
        + said
        + (f" Clips are summed over {seeds} seeds." if seeds > 1 else ""),
    )


#: Of a cell without clips, in light and dark alike.
_MUTED = "#6b7281"


def _cell(count: float, share: float) -> str:
    return f"{count:.0f}" + ("" if share != share else f" ({percent(share)} %)")


@dataclass(frozen=True)
class Confused:
    """The most frequent error of a class: ``share`` of the ``clips`` of ``truth`` (over all seeds)."""

    truth: str
    predicted: str
    share: float

    @property
    def words(self) -> str:
        """Return the error as words."""
        what = (
            "gets no prediction"
            if self.predicted == NO_PREDICTION
            else f"is taken for {printable(self.predicted)}"
        )
        return f"{printable(self.truth)} {what} in {percent(self.share, 0)} % of its clips"


def commonest_confusion(counts: NDArray[np.float64], classes: tuple[str, ...]) -> Confused | None:
    """Return the error that is the most frequent for its class; None where there is none.

    ``counts`` has the shape (C, C + 1), as in :func:`confusion_chart`.
    """
    sums = counts.sum(axis=1, keepdims=True)
    wrong = np.divide(counts, sums, out=np.zeros(counts.shape), where=sums > 0)
    np.fill_diagonal(wrong, 0)
    if not wrong.any():
        return None
    row, column = np.unravel_index(int(wrong.argmax()), wrong.shape)
    return Confused(classes[row], (*classes, NO_PREDICTION)[column], float(wrong[row, column]))
