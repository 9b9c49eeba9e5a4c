"""The reliability diagram: how often the system is right when it says how sure it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unheard.metrics.formatting import number, percent
from unheard.metrics.probabilistic import Reliability
from unheard.report.figures.chart import BLUE, GREY, INK, PAPER, Chart, score_axis, svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure


#: A share of fewer clips says nothing, and is not drawn.
MIN_CLIPS = 5


def reliability_chart(name: str, bins: Reliability, ece: float | None) -> Chart:
    """Draw accuracy against confidence in bins of :data:`MIN_CLIPS` clips or more, with the number in each below.

    ``ece`` is the figure of the results, which may be a mean over seeds.
    """
    full = [i for i in range(len(bins.count)) if bins.count[i] > 0]
    gap = sum((bins.confidence[i] - bins.accuracy[i]) * bins.count[i] for i in full) / bins.count.sum()
    leaning = "too sure" if gap > 0 else "not sure enough"
    alt = (
        f"Reliability diagram in {len(bins.count)} bins of confidence. ECE {number(ece)}; on average the system "
        f"says {percent(abs(gap))} points {'more' if gap > 0 else 'less'} than it gets right: {leaning}."
    )

    def paint(figure: Figure) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
        upper.plot([0, 1], [0, 1], color=INK, linewidth=0.9, linestyle=(0, (5, 3)), label="as sure as right")
        drawn = [i for i in full if bins.count[i] >= MIN_CLIPS]
        for i in drawn:
            upper.plot(
                [bins.confidence[i]] * 2, [bins.confidence[i], bins.accuracy[i]], color=GREY, linewidth=1
            )
        upper.plot(
            [bins.confidence[i] for i in drawn], [bins.accuracy[i] for i in drawn], "o-",
            color=BLUE, markersize=5, label=f"this system, ECE {number(ece)}",
        )  # fmt: skip
        score_axis(upper, "right, percent", high=1.02)
        most = float(bins.count.max())
        width = [high - low for low, high in zip(bins.low, bins.high, strict=True)]
        lower.bar(bins.low, bins.count, width=width, align="edge", color=GREY, edgecolor=PAPER, linewidth=0.5)
        for i in full:
            middle = (bins.low[i] + bins.high[i]) / 2
            lower.text(middle, bins.count[i], f"{bins.count[i]:,.0f}", ha="center", va="bottom", fontsize=5.5)
        lower.set_ylim(0, 1.35 * most)
        lower.set_yticks([])
        lower.set_ylabel("clips")
        score_axis(lower, "confidence (largest probability), percent", vertical=False, high=1.02)
        figure.align_ylabels()
        figure.legend(loc="outside upper center", ncols=2, frameon=False, columnspacing=1.2)

    return Chart(
        name,
        "Is it as sure as it is right?",
        svg(name, alt, 260, paint),
        alt,
        ("confidence from %", "to %", "clips", "mean confidence %", "right %"),
        tuple(
            (
                percent(bins.low[i]),
                percent(bins.high[i]),
                f"{bins.count[i]:,.0f}",
                percent(bins.confidence[i]),
                percent(bins.accuracy[i]),
            )
            for i in full
        ),
        f"Above each bar stands the number of clips; bins of fewer than {MIN_CLIPS} have no point.",
    )
