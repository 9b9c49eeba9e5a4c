"""Every test speaker as a dot, women and men apart: a mean hides whom a system does not understand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from unheard.metrics.formatting import NONE, percent
from unheard.report.figures.chart import BLUE, GREY, INK, PAPER, VERMILLION, Chart, score_axis, svg
from unheard.report.wording import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_GROUPS = {"female": "women", "male": "men", "other": "others", None: "gender unknown"}
_MARKS = {"female": ("o", BLUE), "male": ("s", VERMILLION), "other": ("^", INK), None: ("D", GREY)}


@dataclass(frozen=True)
class SpeakerScore:
    """Scores of one speaker, fractions, means over seeds; ``fold`` is None where several test the speaker."""

    speaker: str
    gender: str | None
    n: int
    accuracy: float
    uar: float
    fold: int | None


def speaker_scores(table: pl.DataFrame) -> list[SpeakerScore]:
    """Read the table of :func:`unheard.metrics.speakers.per_speaker`, sorted by gender and accuracy."""
    found = [SpeakerScore(**row) for row in table.to_dicts()]
    order = list(_GROUPS)
    return sorted(found, key=lambda s: (order.index(s.gender), s.accuracy, s.speaker))


def speakers_chart(name: str, speakers: list[SpeakerScore], chance: float | None) -> Chart:
    """Draw a lane of dots a gender, the lowest and highest of each by name, and the mean as a bar."""
    groups = {g: [s for s in speakers if s.gender == g] for g in _GROUPS}
    groups = {g: those for g, those in groups.items() if those}
    means = {g: sum(s.accuracy for s in those) / len(those) for g, those in groups.items()}
    lowest, highest = (pick(speakers, key=lambda s: s.accuracy) for pick in (min, max))
    alt = (
        f"Accuracy of {len(speakers)} test speakers: from {percent(lowest.accuracy)} % "
        f"({printable(lowest.speaker)}) to {percent(highest.accuracy)} % ({printable(highest.speaker)}). "
        "Mean of the speakers: "
        + ", ".join(f"{len(groups[g])} {_lane(g, groups)} {percent(mean)} %" for g, mean in means.items())
        + "."
    )

    def paint(figure: Figure) -> None:
        axis = figure.subplots()
        if chance is not None:
            axis.axvline(chance, color=INK, linewidth=0.9, linestyle=(0, (5, 3)))
            axis.text(
                chance + 0.01, len(groups) - 0.42, f"chance {percent(chance)}", fontsize=7.5, va="bottom"
            )
        for lane, (gender, those) in enumerate(groups.items()):
            marker, colour = _MARKS[gender]
            heights = _stacked([s.accuracy for s in those])
            axis.plot([means[gender]] * 2, [lane - 0.36, lane + 0.36], color=INK, linewidth=2)
            axis.text(means[gender], lane - 0.38, percent(means[gender]), ha="center", va="bottom", fontsize=8,
                      fontweight="bold")  # fmt: skip
            axis.plot(
                [s.accuracy for s in those], [lane + h for h in heights], marker,
                color=colour, markerfacecolor=PAPER, markeredgewidth=1.3, markersize=6,
            )  # fmt: skip
            for s, h, side in {0: (those[0], heights[0], -1), 1: (those[-1], heights[-1], 1)}.values():
                axis.text(s.accuracy + 0.017 * side, lane + h, printable(s.speaker, 10), fontsize=7.5, va="center",
                          ha="right" if side < 0 else "left")  # fmt: skip
        axis.set_yticks(
            range(len(groups)), [f"{_lane(g, groups)}\n({len(those)})" for g, those in groups.items()]
        )
        axis.set_ylim(len(groups) - 0.4, -0.6)
        axis.tick_params(axis="y", length=0)
        score_axis(axis, "accuracy, percent", vertical=False, low=-0.02, high=1.02)

    return Chart(
        name,
        "Speaker by speaker",
        svg(name, alt, 45 + 75 * len(groups), paint),
        alt,
        ("speaker", "gender", "fold", "clips", "accuracy %", "UAR %"),
        tuple(
            (
                printable(s.speaker),
                s.gender or NONE,
                NONE if s.fold is None else str(s.fold),
                f"{s.n:,}",
                percent(s.accuracy),
                percent(s.uar),
            )
            for s in speakers
        ),
        "The bar is the mean of the speakers; the lowest and the highest are named.",
    )


def _lane(gender: str | None, groups: Mapping[str | None, object]) -> str:
    """Return what a lane is called; where no gender is known there is nothing to tell apart."""
    return "speakers" if list(groups) == [None] else _GROUPS[gender]


def _stacked(values: list[float]) -> list[float]:
    """Return the heights that keep sorted dots apart: each takes the place nearest the middle that is free."""
    reach, step = 0.026, 0.13
    placed: list[tuple[float, float]] = []
    for value in values:
        near = [h for v, h in placed if abs(v - value) < reach]
        places = [0.0] + [sign * k * step for k in (1, 2) for sign in (1, -1)]
        placed.append((value, next((p for p in places if p not in near), places[len(placed) % len(places)])))
    return [height for _, height in placed]
