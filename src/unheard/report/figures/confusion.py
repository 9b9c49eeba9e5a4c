"""The confusion matrix: percent of each true class, and the clips below."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from unheard.metrics.formatting import percent
from unheard.report.figures.chart import Chart, svg
from unheard.report.figures.matrix import cell, fits_twice, paint_matrix
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
    below = fits_twice(len(predicted))

    def paint(figure: Figure) -> None:
        paint_matrix(figure, shown, shares, classes, predicted)

    return Chart(
        name,
        "Confusion: percent of each true class" + (", and clips" if below else ""),
        svg(name, alt, 330, paint),
        alt,
        ("truth", *(printable(c) for c in predicted)),
        tuple(
            (printable(c), *(cell(n, share) for n, share in zip(own, row, strict=True)))
            for c, own, row in zip(classes, shown, shares, strict=True)
        ),
        "Each row sums to 100 but for rounding: the diagonal is the recall of a class. "
        + said
        + (f" Clips are summed over {seeds} seeds." if seeds > 1 else ""),
    )


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
