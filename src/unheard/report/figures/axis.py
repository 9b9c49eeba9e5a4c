"""All systems on one axis, among the figures that others published for the same task.

What was trained on 16 speakers and what was trained on 23 are different tasks, so every row says its number.
Stamped scores stand below the others on the same scale, and in columns of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unheard.metrics.formatting import NONE, interval, percent
from unheard.report.anchors import Anchor
from unheard.report.figures.chart import BLUE, GREY, INK, PAPER, VERMILLION, Chart, score_axis, svg
from unheard.report.system import System
from unheard.report.wording import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_METRICS = {"accuracy": "Accuracy", "uar": "UAR"}


@dataclass(frozen=True)
class Row:
    """One system on the axis; ``low`` to ``high`` is a 95 % interval over speakers, ``sd`` a spread over folds."""

    system: str
    protocol: str
    training_speakers: int | None
    value: float | None
    low: float | None
    high: float | None
    sd: float | None
    source: str
    ours: bool
    stamps: tuple[str, ...] = ()
    span: tuple[float, float] | None = None

    @property
    def place(self) -> float:
        """Where the row stands in the order: its score, or the middle of its range."""
        return self.value if self.value is not None else sum(self.span or (0.0, 0.0)) / 2

    @property
    def score(self) -> str:
        """Return the score as text, with the spread that a publication gives."""
        if self.value is None:
            return f"{percent(self.span[0], 0)}–{percent(self.span[1], 0)}" if self.span else NONE
        return percent(self.value) + (f" ± {percent(self.sd)}" if self.sd is not None else "")


def axis_rows(systems: Sequence[System], published: Iterable[Anchor], metric: str) -> list[Row]:
    """Return the rows of one metric (``accuracy`` or ``uar``), best first: those without stamps, then those with.

    Of published figures with a stamp only those are taken that stand beside one of ours with a stamp.
    """
    stamps = any(s.stamps for s in systems)
    rows = [
        Row(
            s.name, s.protocol, s.results.get("n_train_speakers"), s.metric(metric), s.metric(metric, "low"),
            s.metric(metric, "high"), None, "this report", True, s.stamps,
        )
        for s in systems
        if s.metric(metric) is not None
    ]  # fmt: skip
    for a in published:
        value = a.accuracy if metric == "accuracy" else a.uar
        span = a.accuracy_range if metric == "accuracy" else None
        if (stamps or not a.leaky) and (value is not None or span is not None):
            is_uar = metric == "uar"
            ends = (a.low, a.high) if is_uar else (None, None)
            sd = a.sd if not is_uar and value is not None else None
            rows.append(
                Row(a.system, a.protocol, a.training_speakers, value, *ends, sd, _source(a), False,
                    ("LEAKY",) if a.leaky else (), span)
            )  # fmt: skip
    return sorted(rows, key=lambda row: (bool(row.stamps), -row.place, not row.ours, row.system))


def axis_chart(name: str, rows: Sequence[Row], metric: str, chance: float | None) -> Chart:
    """Draw one line a row: its name above, its interval and dot below; a rule before those with a stamp."""
    plain = sum(not row.stamps for row in rows)
    ours = [row for row in rows if row.ours]
    alt = (
        f"{_METRICS[metric]} of {len(ours)} systems of this report"
        + (f" and {len(rows) - len(ours)} published figures" if len(rows) > len(ours) else "")
        + ", best first: "
        + "; ".join(f"{printable(row.system)} {row.score} %" for row in rows[:6])
        + (f"; and {len(rows) - 6} more." if len(rows) > 6 else ".")
    )

    def paint(figure: Figure) -> None:
        axis = figure.subplots()
        if chance is not None:
            # Only where the dots are: a line through the names would cross them out.
            heights = range(len(rows))
            axis.vlines([chance] * len(rows), heights, [i + 0.4 for i in heights], color=INK, linewidth=0.9)
            axis.text(
                chance, len(rows) - 0.3, f"chance {percent(chance)}", fontsize=7.5, ha="center", va="top"
            )
        for i, row in enumerate(rows):
            _draw(axis, i, row)
        if 0 < plain < len(rows):
            axis.axhline(plain - 0.45, color=GREY, linewidth=0.8)
        axis.text(1, -0.62, "score (training speakers)", transform=axis.get_yaxis_transform(), ha="right",
                  fontsize=7.5, color=GREY)  # fmt: skip
        axis.set_ylim(len(rows) + 0.1, -0.9)
        axis.set_yticks([])
        axis.spines["left"].set_visible(False)
        score_axis(axis, f"{_METRICS[metric]}, percent", vertical=False)

    return Chart(
        name,
        f"{_METRICS[metric]}, all systems on one axis",
        svg(name, alt, 50 + 24 * (len(rows) + 1), paint),
        alt,
        (
            "system",
            "protocol",
            "training speakers",
            f"{_METRICS[metric]} %",
            "95 % interval",
            f"{_METRICS[metric]} with a stamp %",
            "its 95 % interval",
            "stamps",
            "source",
        ),
        tuple(
            (
                printable(row.system),
                printable(row.protocol),
                NONE if row.training_speakers is None else str(row.training_speakers),
                *(_NOTHING if row.stamps else ()),
                row.score,
                interval(row.low, row.high),
                *(() if row.stamps else _NOTHING),
                ", ".join(row.stamps) or NONE,
                printable(row.source),
            )
            for row in rows
        ),
        "Filled: this report; hollow: published. Solid lines are 95 % intervals over speakers, dotted ones the "
        "spread over folds as published (± one standard deviation)."
        + (
            " Below the rule: scores with a stamp, which answer another question."
            if plain < len(rows)
            else ""
        ),
    )


_NOTHING = (NONE, NONE)


def _draw(axis: Axes, i: int, row: Row) -> None:
    transform = axis.get_yaxis_transform()
    weight = "bold" if row.ours else "normal"
    stamps = f"  [{', '.join(row.stamps)}]" if row.stamps else ""
    colour = INK if not row.ours else VERMILLION if row.stamps else BLUE
    room = 60 - len(stamps) - len(row.score)
    axis.text(0, i - 0.12, printable(row.system, max(room, 12)) + stamps, transform=transform, fontsize=7.5,
              fontweight=weight, color=colour)  # fmt: skip
    speakers = NONE if row.training_speakers is None else str(row.training_speakers)
    axis.text(1, i - 0.12, f"{row.score}  ({speakers})", transform=transform, fontsize=7.5, ha="right",
              fontweight=weight)  # fmt: skip
    y = i + 0.2
    if row.low is not None and row.high is not None:
        axis.plot([row.low, row.high], [y, y], color=colour, linewidth=2.2 if row.ours else 1)
    if row.sd is not None and row.value is not None:
        axis.plot(
            [row.value - row.sd, row.value + row.sd], [y, y], color=GREY, linewidth=1, linestyle=(0, (1, 1.5))
        )
    if row.span is not None:
        axis.plot(row.span, [y, y], "|-", color=GREY, linewidth=1, markersize=7)
    if row.value is not None:
        marker = "X" if row.stamps else "o" if row.ours else "D"
        face = colour if row.ours else PAPER
        axis.plot(
            [row.value], [y], marker, color=colour, markerfacecolor=face, markersize=7 if row.ours else 4.5
        )


def _source(anchor: Anchor) -> str:
    ddof = f" (± with ddof {anchor.ddof})" if anchor.ddof is not None else ""
    return f"{anchor.source}{ddof}"
