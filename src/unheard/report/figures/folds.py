"""Scores fold by fold, with the lines that no system should fall below: chance and the majority class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from unheard.errors import first_five
from unheard.metrics.formatting import NONE, percent
from unheard.report.figures.chart import BLUE, GREY, INK, PAPER, VERMILLION, Chart, score_axis, svg
from unheard.report.system import System
from unheard.report.wording import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class FoldScore:
    """One fold; scores are fractions and means over seeds."""

    fold: int
    n_test: int
    accuracy: float
    uar: float
    seeds: tuple[float, ...]
    speakers: tuple[str, ...]
    temperatures: tuple[float, ...] = ()


def fold_scores(system: System) -> list[FoldScore]:
    """Join the folds of the results with what the predictions say: speakers, and the accuracy of each seed."""
    frame = system.labelled.frame
    named = frame.group_by("fold").agg(pl.col("speaker").drop_nulls().unique().sort())
    speakers = {row["fold"]: tuple(row["speaker"]) for row in named.to_dicts()}
    each = frame.group_by("fold", "seed").agg(pl.col("right").mean()).sort("fold", "seed")
    seeds = {key[0]: tuple(part["right"]) for key, part in each.group_by("fold")}
    return [
        FoldScore(
            int(row["fold"]),
            int(row["n_test"]),
            float(row["accuracy"]),
            float(row["uar"]),
            seeds.get(row["fold"], ()),
            speakers.get(row["fold"], ()),
            tuple(float(t) for t in _listed(row.get("temperature")) if t is not None),
        )
        for row in sorted(system.results.get("folds") or (), key=lambda row: int(row["fold"]))
    ]


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def called(folds: Sequence[FoldScore]) -> tuple[str, list[str]]:
    """Return what names the folds, and their names: each one's only speaker, else numbers."""
    if all(len(fold.speakers) == 1 for fold in folds):
        return "speaker", [fold.speakers[0] for fold in folds]
    return "fold", [str(fold.fold) for fold in folds]


def fold_ticks(axis: Axes, folds: Sequence[FoldScore]) -> None:
    """Give the horizontal axis a tick a fold, with its name."""
    what, labels = called(folds)
    shown = [printable(label, 10) for label in labels]
    size = 6 if len(folds) > 12 else 8
    if max(map(len, shown)) * len(shown) * size > 560:
        small = min(size, 250 / len(folds))
        axis.set_xticks(
            range(len(folds)), shown, fontsize=small, rotation=60, ha="right", rotation_mode="anchor"
        )
    else:
        axis.set_xticks(range(len(folds)), shown, fontsize=size)
    axis.set_xlabel("test speaker, one a fold" if what == "speaker" else "fold")
    axis.set_xlim(-0.6, len(folds) - 0.4)


def folds_chart(
    name: str, folds: list[FoldScore], mean: float | None, chance: float | None, majority: float | None
) -> Chart:
    """Draw dots for accuracy and UAR of each fold, with lines at mean accuracy, chance and the majority class."""
    several = max(len(fold.seeds) for fold in folds) > 1
    what, names = called(folds)
    worst, best = (pick(range(len(folds)), key=lambda i: folds[i].accuracy) for pick in (min, max))
    alt = (
        f"Accuracy and UAR of {len(folds)} folds. Accuracy runs from {percent(folds[worst].accuracy)} % "
        f"({what} {printable(names[worst])}) to {percent(folds[best].accuracy)} % "
        f"({what} {printable(names[best])}); the mean is {percent(mean)} %, "
        f"chance {percent(chance)} %."
    )

    def paint(figure: Figure) -> None:
        axis = figure.subplots()
        where = range(len(folds))
        crowded = len(folds) > 12
        aside, size = (0.2, 3.5) if crowded else (0.13, 5.5)
        for level, text, dash in ((chance, "chance", (0, (5, 3))), (majority, "majority", (0, (1, 2)))):
            if level is not None:
                axis.axhline(
                    level, color=INK, linewidth=0.9, linestyle=dash, label=f"{text} {percent(level)}"
                )
        if mean is not None:
            axis.axhline(mean, color=BLUE, linewidth=0.8, label=f"mean accuracy {percent(mean)}")
        for i, fold in enumerate(folds if several else ()):
            axis.plot([i - aside] * len(fold.seeds), fold.seeds, "_", color=GREY, markersize=7)
        axis.plot(
            [i - aside for i in where], [f.accuracy for f in folds], "o",
            color=BLUE, markersize=size, label="accuracy",
        )  # fmt: skip
        axis.plot(
            [i + aside for i in where], [f.uar for f in folds], "D",
            color=VERMILLION, markerfacecolor=PAPER, markersize=0.9 * size, label="UAR",
        )  # fmt: skip
        fold_ticks(axis, folds)
        score_axis(axis, "percent")
        figure.legend(
            loc="outside upper center", ncols=3, frameon=False, handletextpad=0.5, columnspacing=1.2
        )

    return Chart(
        name,
        "Fold by fold",
        svg(name, alt, 190, paint),
        alt,
        ("fold", "test clips", "test speakers", "accuracy %", "UAR %")
        + (("accuracy of each seed %",) if several else ()),
        tuple(
            (
                str(f.fold),
                f"{f.n_test:,}",
                printable(first_five(f.speakers)) if f.speakers else NONE,
                percent(f.accuracy),
                percent(f.uar),
                *((", ".join(percent(a) for a in f.seeds),) if several else ()),
            )
            for f in folds
        ),
        "Means over seeds; short grey lines are the accuracy of each seed." if several else "",
    )
