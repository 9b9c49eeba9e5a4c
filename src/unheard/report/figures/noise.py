"""Accuracy over the signal-to-noise ratio, a line a kind of noise, from the noisiest to the clean recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from unheard.metrics.formatting import NONE, interval, percent
from unheard.report.figures.chart import BLUE, GREY, INK, VERMILLION, Chart, score_axis, svg
from unheard.report.wording import points

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LOOKS = {"white": (BLUE, "-", "o"), "babble": (VERMILLION, (0, (4, 2)), "s")}
#: Between the lines of two kinds, so that their intervals stand side by side.
_APART = 0.07
_GENDERS = {"female": "women", "male": "men"}


def noise_chart(name: str, found: Mapping[str, Any]) -> Chart:
    """Draw accuracy with its interval over speakers; ``found`` is as in ``noise.json``."""
    clean, *noisy = found["conditions"]
    kinds = list(dict.fromkeys(row["kind"] for row in noisy))
    ratios = sorted({row["snr"] for row in noisy})
    alt = _alt(clean, noisy, kinds)

    def paint(figure: Figure) -> None:
        axis = figure.subplots()
        for number, kind in enumerate(kinds):
            rows = sorted((row for row in noisy if row["kind"] == kind), key=lambda row: row["snr"])
            shift = _APART * (number - (len(kinds) - 1) / 2)
            places = [ratios.index(row["snr"]) + shift for row in rows]
            _line(axis, places, rows, kind)
            axis.plot([places[-1], len(ratios)], [rows[-1]["accuracy"]["pooled"], clean["accuracy"]["pooled"]],
                      color=GREY, linewidth=0.7, linestyle=(0, (1, 2)))  # fmt: skip
        _line(axis, [len(ratios)], [clean], "clean")
        chance = found["chance"]["accuracy"]
        axis.axhline(
            chance, color=INK, linewidth=0.9, linestyle=(0, (5, 3)), label=f"chance {percent(chance)}"
        )
        axis.set_xticks(range(len(ratios) + 1), [*(f"{ratio:g} dB" for ratio in ratios), "clean"])
        axis.set_xlim(-0.4, len(ratios) + 0.4)
        axis.set_xlabel("signal-to-noise ratio")
        score_axis(axis, "accuracy, percent")
        figure.legend(loc="outside upper center", ncols=4, frameon=False, handletextpad=0.4, fontsize=7.5)

    genders = [gender for gender in _GENDERS if gender in clean["gender"]]
    return Chart(
        name,
        "Accuracy in noise",
        svg(name, alt, 220, paint),
        alt,
        (
            "condition",
            "accuracy %",
            "95 % interval",
            "UAR %",
            "95 % interval of UAR",
            *(f"accuracy of {_GENDERS[gender]} %" for gender in genders),
            "less than clean, points",
            "realised dB",
            "clips with clipped samples",
        ),
        tuple(_row(row, genders) for row in (clean, *noisy)),
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
        return (*cells, NONE, NONE, NONE)
    realised = row["realised_snr"]
    return (
        *cells,
        points(row["difference"]["accuracy"]["value"]),
        f"{realised['min']:.1f} to {realised['max']:.1f}",
        str(row["clipped"]["clips"]),
    )


def _alt(clean: Mapping[str, Any], noisy: Sequence[Mapping[str, Any]], kinds: Sequence[str]) -> str:
    said = [f"Accuracy is {percent(clean['accuracy']['pooled'])} % on the clean recordings."]
    for kind in kinds:
        rows = sorted((row for row in noisy if row["kind"] == kind), key=lambda row: -row["snr"])
        steps = ", ".join(f"{percent(row['accuracy']['pooled'])} % at {row['snr']:g} dB" for row in rows)
        said.append(f"With {kind} noise: {steps}.")
    return " ".join(said).replace("babble noise", "babble")
