"""Differences between systems, speaker by speaker paired, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from unheard.comparison.compare import Comparison
from unheard.metrics.formatting import p_value
from unheard.report.figures.chart import BLUE, GREY, INK, PAPER, Chart, svg
from unheard.report.wording import gain, gain_interval, printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def differences_chart(name: str, title: str, pairs: Sequence[Comparison]) -> Chart:
    """Draw one line a pair: the difference that decides and its 95 % interval; the pairs are of one metric."""
    shown = [c for c in pairs if c.supported]
    of, unit, scale = (
        ("accuracy", ", points", 100) if pairs[0].metric == "accuracy" else (_of(pairs[0]), "", 1)
    )
    alt = (
        f"Differences of {of}{unit} for {len(pairs)} pairs, of which {len(shown)} are supported: "
        + "; ".join(f"{printable(c.a)} minus {printable(c.b)} {gain(c, c.difference)}" for c in pairs[:6])
        + "."
    )

    def paint(figure: Figure) -> None:
        axis = figure.subplots()
        for i, c in enumerate(pairs):
            colour = BLUE if c.supported else GREY
            axis.plot([0, 0], [i, i + 0.45], color=INK, linewidth=0.9)
            if c.low is not None and c.high is not None:
                axis.plot([scale * c.low, scale * c.high], [i + 0.2] * 2, color=colour, linewidth=2)
            face = colour if c.supported else PAPER
            axis.plot(
                [scale * c.difference], [i + 0.2], "o", color=colour, markerfacecolor=face, markersize=6.5
            )
            axis.text(0, i - 0.14, f"{printable(c.a, 26)} − {printable(c.b, 26)}", fontsize=7.5,
                      transform=axis.get_yaxis_transform())  # fmt: skip
            axis.text(1, i - 0.14, gain(c, c.difference), fontsize=7.5, ha="right", fontweight="bold",
                      transform=axis.get_yaxis_transform())  # fmt: skip
        axis.set_ylim(len(pairs) - 0.3, -0.6)
        axis.set_yticks([])
        axis.spines["left"].set_visible(False)
        axis.margins(x=0.08)
        axis.set_xlabel(f"difference of {of}{unit}")
        axis.grid(axis="x")

    return Chart(
        name,
        title,
        svg(name, alt, 45 + 30 * len(pairs), paint),
        alt,
        ("A", "B", f"A − B{unit}", "95 % interval", "p", "p (Holm)", "speakers", "clips", "verdict"),
        tuple(
            (
                printable(c.a),
                printable(c.b),
                gain(c, c.difference),
                gain_interval(c),
                p_value(c.p),
                p_value(c.p_holm),
                str(c.n_speakers),
                f"{c.n_clips:,}",
                "supported" if c.supported else "not shown",
            )
            for c in pairs
        ),
        "Filled: supported; hollow: not shown. "
        + (
            "Difference of the pooled scores"
            if of == "mean CCC"
            else "Mean over speakers of the difference on each speaker's clips"
        )
        + ", with its 95 % interval over speakers.",
    )


def _of(comparison: Comparison) -> str:
    return {"kl": "KL, smaller is better"}.get(comparison.metric, "mean CCC")
