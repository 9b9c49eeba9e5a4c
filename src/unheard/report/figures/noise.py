"""Accuracy over the signal-to-noise ratio, a line a kind of noise, and a point for each other condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from unheard.metrics.formatting import NONE, interval, percent
from unheard.report.figures.chart import BLUE, GREY, INK, PALE, VERMILLION, Chart, score_axis, svg
from unheard.report.wording import points

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LOOKS = {
    "white": (BLUE, "-", "o"),
    "babble": (VERMILLION, (0, (4, 2)), "s"),
    "pink": ("#CC79A7", (0, (1, 1)), "^"),
    "coloured": ("#56B4E9", (0, (5, 1, 1, 1)), "v"),
    "recorded": ("#009E73", (0, (3, 1)), "P"),
}
#: Between the lines of two kinds, so that their intervals stand side by side.
_APART = 0.07
_GENDERS = {"female": "women", "male": "men"}


def noise_chart(name: str, found: Mapping[str, Any]) -> Chart:
    """Draw accuracy with its interval over speakers; ``found`` is as in ``noise.json``."""
    clean, *every = found["conditions"]
    noisy = [row for row in every if row["snr"] is not None]
    others = [row for row in every if row["snr"] is None]
    kinds = list(dict.fromkeys(row["kind"] for row in noisy))
    ratios = sorted({row["snr"] for row in noisy})
    alt = _alt(clean, noisy, kinds, others)
    chance = found["chance"]["accuracy"]

    def ratios_on(axis: Axes) -> None:
        for number, kind in enumerate(kinds):
            rows = sorted((row for row in noisy if row["kind"] == kind), key=lambda row: row["snr"])
            shift = _APART * (number - (len(kinds) - 1) / 2)
            places = [ratios.index(row["snr"]) + shift for row in rows]
            _line(axis, places, rows, kind)
            axis.plot([places[-1], len(ratios)], [rows[-1]["accuracy"]["pooled"], clean["accuracy"]["pooled"]],
                      color=GREY, linewidth=0.7, linestyle=(0, (1, 2)))  # fmt: skip
        _line(axis, [len(ratios)], [clean], "clean")
        axis.axhline(
            chance, color=INK, linewidth=0.9, linestyle=(0, (5, 3)), label=f"chance {percent(chance)}"
        )
        axis.set_xticks(range(len(ratios) + 1), [*(f"{ratio:g} dB" for ratio in ratios), "clean"])
        axis.set_xlim(-0.4, len(ratios) + 0.4)
        axis.set_xlabel("signal-to-noise ratio")
        score_axis(axis, "accuracy, percent")

    def others_on(axis: Axes) -> None:
        shown = [clean, *others]
        low, high = clean["accuracy"]["low"], clean["accuracy"]["high"]
        if low is not None:
            axis.axvspan(low, high, color=PALE, alpha=0.5, linewidth=0)
        for place, row in enumerate(shown):
            score = row["accuracy"]
            if score["low"] is not None:
                axis.plot([score["low"], score["high"]], [place, place], color=BLUE, linewidth=1)
            axis.plot([score["pooled"]], [place], marker="o", color=BLUE, markersize=5, linestyle="")
        axis.axvline(chance, color=INK, linewidth=0.9, linestyle=(0, (5, 3)))
        axis.set_yticks(range(len(shown)), [row["condition"].replace("_", " ") for row in shown])
        axis.set_ylim(len(shown) - 0.4, -0.6)
        score_axis(axis, "accuracy, percent", vertical=False)

    def paint(figure: Figure) -> None:
        if noisy and others:
            above, below = figure.subplots(2, height_ratios=[180, 40 + 16 * len(others)])
            ratios_on(above)
            others_on(below)
        elif others:
            others_on(figure.subplots())
        else:
            ratios_on(figure.subplots())
        if noisy:
            figure.legend(loc="outside upper center", ncols=4, frameon=False, handletextpad=0.4, fontsize=7.5)

    height = (220 if noisy else 0) + (50 + 16 * len(others) if others else 0)
    genders = [gender for gender in _GENDERS if gender in clean["gender"]]
    return Chart(
        name,
        "Accuracy under each condition" if others else "Accuracy in noise",
        svg(name, alt, height, paint),
        alt,
        (
            "condition",
            "accuracy %",
            "95 % interval",
            "UAR %",
            "95 % interval of UAR",
            *(f"accuracy of {_GENDERS[gender]} %" for gender in genders),
            "less than clean, points",
            "95 % interval of the difference",
            "realised dB",
            "clips with clipped samples",
        ),
        tuple(_row(row, genders) for row in found["conditions"]),
        "Bars are 95 % intervals over speakers. The points less than clean are paired: mean over speakers, "
        "clip by clip.",
    )


def _line(axis: Axes, places: Sequence[float], rows: Sequence[Mapping[str, Any]], label: str) -> None:
    colour, dash, marker = _LOOKS.get(label, (INK, "-", "D"))
    scores = [row["accuracy"] for row in rows]
    for place, score in zip(places, scores, strict=True):
        if score["low"] is not None:
            axis.plot([place, place], [score["low"], score["high"]], color=colour, linewidth=1)
    axis.plot(places, [score["pooled"] for score in scores], marker=marker, color=colour, linestyle=dash,
              markersize=5, label=label)  # fmt: skip


def _row(row: Mapping[str, Any], genders: Sequence[str]) -> tuple[str, ...]:
    cells = [row["condition"]]
    for metric in ("accuracy", "uar"):
        cells += [percent(row[metric]["pooled"]), interval(row[metric]["low"], row[metric]["high"])]
    cells += [percent(row["gender"][gender]["accuracy"]["pooled"]) for gender in genders]
    if "difference" not in row:
        return (*cells, NONE, NONE, NONE, NONE)
    realised, lost = row["realised_snr"], row["difference"]["accuracy"]
    known = lost["low"] is not None
    return (
        *cells,
        points(lost["value"]),
        f"[{points(lost['low'])}, {points(lost['high'])}]" if known else NONE,
        NONE if realised["min"] is None else f"{realised['min']:.1f} to {realised['max']:.1f}",
        str(row["clipped"]["clips"]),
    )


def _alt(
    clean: Mapping[str, Any],
    noisy: Sequence[Mapping[str, Any]],
    kinds: Sequence[str],
    others: Sequence[Mapping[str, Any]],
) -> str:
    said = [f"Accuracy is {percent(clean['accuracy']['pooled'])} % on the clean recordings."]
    for kind in kinds:
        rows = sorted((row for row in noisy if row["kind"] == kind), key=lambda row: -row["snr"])
        steps = ", ".join(f"{percent(row['accuracy']['pooled'])} % at {row['snr']:g} dB" for row in rows)
        said.append(f"With {kind} noise: {steps}.")
    said += [f"Under {row['condition']}: {percent(row['accuracy']['pooled'])} %." for row in others]
    return " ".join(said).replace("babble noise", "babble")
