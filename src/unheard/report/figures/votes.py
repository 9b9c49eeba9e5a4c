"""A handful of clips, from the best to the worst predicted: the shares of the votes beside the probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unheard.metrics.distributional import kl
from unheard.metrics.formatting import number, percent
from unheard.metrics.rows import Rows
from unheard.report.figures.chart import BLUE, GREY, Chart, svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Clips that are shown, in rows of :data:`ACROSS`.
CLIPS, ACROSS = 6, 3


def votes_chart(name: str, rows: Rows) -> Chart | None:
    """Draw clips at even steps of the ranking by KL; None where no clip has both votes and a prediction."""
    if not rows.classes:
        return None
    there = np.flatnonzero(~(np.isnan(rows.shares).any(axis=1) | np.isnan(rows.probabilities).any(axis=1)))
    if not len(there):
        return None
    apart = kl(rows.probabilities[there], rows.shares[there])
    order = np.argsort(apart, kind="stable")
    chosen = np.unique(np.linspace(0, len(order) - 1, min(CLIPS, len(order))).round().astype(int))
    ids = rows.frame["id"].to_list()
    shown = [(ids[there[order[i]]], float(apart[order[i]]), there[order[i]]) for i in chosen]
    alt = (
        f"Votes and probabilities of {len(shown)} clips at even steps from the smallest to the largest KL: "
        + ", ".join(number(divergence) for _, divergence, _ in shown)
        + "."
    )

    def paint(figure: Figure) -> None:
        down = -(-len(shown) // ACROSS)
        axes = figure.subplots(down, ACROSS, sharex=True, sharey=True, squeeze=False).ravel()
        place = np.arange(len(rows.classes))
        for axis, (_, divergence, row) in zip(axes, shown, strict=False):
            axis.barh(place - 0.19, rows.shares[row], height=0.36, color=GREY, label="votes")
            axis.barh(place + 0.19, rows.probabilities[row], height=0.36, color=BLUE, label="predicted")
            axis.set_title(f"KL {number(divergence)}")
            axis.set_yticks(place, rows.classes)
            axis.set_ylim(len(place) - 0.5, -0.5)
            axis.set_xlim(0, 1)
            axis.set_xticks([0, 0.5, 1], ["0", "50", "100"])
            axis.grid(axis="x")
        for axis in axes[len(shown) :]:
            axis.set_visible(False)
        figure.supxlabel("percent", fontsize=8.5)
        figure.legend(
            *axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False
        )

    down = -(-len(shown) // ACROSS)
    return Chart(
        name,
        "Votes and predictions",
        svg(name, alt, 62 + down * (34 + 13 * len(rows.classes)), paint),
        alt,
        ("clip", "KL", *(f"{part} {label} %" for label in rows.classes for part in ("votes", "predicted"))),
        tuple(
            (
                clip,
                number(divergence),
                *map(percent, np.stack([rows.shares[row], rows.probabilities[row]], axis=1).ravel()),
            )
            for clip, divergence, row in shown
        ),
    )
