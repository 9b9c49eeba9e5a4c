"""Which class comes second where which comes first, as in arXiv 2503.22711: what a system takes for alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from unheard.metrics.formatting import percent
from unheard.report.figures.chart import Chart, svg
from unheard.report.figures.matrix import cell, fits_twice, paint_matrix
from unheard.report.wording import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def second_answers_chart(
    name: str, counts: NDArray[np.float64], classes: tuple[str, ...], seeds: int
) -> Chart | None:
    """Draw counts (C, C) of second answers by the first, in percent of each first answer.

    None with fewer than three classes, where the second is the other one, and where nothing was answered.
    """
    if len(classes) < 3 or not counts.any():
        return None
    sums = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, sums, out=np.full(counts.shape, np.nan), where=sums > 0)
    first, second = np.unravel_index(int(np.nan_to_num(shares).argmax()), shares.shape)
    said = (
        f"Most often {printable(classes[second])} comes second, where {printable(classes[first])} is answered: "
        f"{percent(float(shares[first, second]), 0)} % of {sums[first, 0]:,.0f} answers."
    )
    alt = f"Second answers of {len(classes)} classes, rows are the first answer, columns the second. {said}"
    below = fits_twice(len(classes))

    def paint(figure: Figure) -> None:
        paint_matrix(
            figure, counts, shares, classes, classes, row_label="first answer", column_label="second answer"
        )

    return Chart(
        name,
        "Second answers: percent of each first answer" + (", and clips" if below else ""),
        svg(name, alt, 330, paint),
        alt,
        ("first answer", *(printable(c) for c in classes)),
        tuple(
            (printable(c), *(cell(n, share) for n, share in zip(own, row, strict=True)))
            for c, own, row in zip(classes, counts, shares, strict=True)
        ),
        "The second most probable class, of clips with a label, whether the first is right or not. "
        + said
        + (f" Clips are summed over {seeds} seeds." if seeds > 1 else ""),
    )
