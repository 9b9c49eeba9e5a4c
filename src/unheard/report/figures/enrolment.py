"""Accuracy over the number of clips of a speaker that were known, against nothing known on the same clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from unheard.metrics.formatting import NONE, difference, interval, percent
from unheard.report.figures.chart import BLUE, GREY, VERMILLION, Chart, score_axis, svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: How the known clips were taken: in words, and what the line looks like.
KINDS = {
    "clips": ("any clips", BLUE, "-", "o"),
    "neutral": ("neutral clips alone", VERMILLION, (0, (4, 2)), "s"),
}
_KNOWN = {"all": "the scored clips"}
#: Between the lines of two kinds, so that their intervals stand side by side.
_APART = 0.08


def enrolment_chart(name: str, found: Sequence[Mapping[str, Any]]) -> Chart | None:
    """Draw what ``results.json`` holds under ``enrolment``; None where it holds no curve."""
    if not found:
        return None
    kinds = [kind for kind in KINDS if any(row["kind"] == kind for row in found)]
    counts = sorted({row["clips"] for row in found if row["clips"] is not None})
    whole = next((row for row in found if row["kind"] == "all"), None)
    alt = "Accuracy by the number of known clips. " + " ".join(
        f"{_KNOWN.get(row['kind']) or KINDS[row['kind']][0]}, {'all' if row['clips'] is None else row['clips']}: "
        f"{percent(row['accuracy']['pooled'])} percent."
        for row in found
    )

    def paint(figure: Figure) -> None:
        axis = figure.subplots()
        for number, kind in enumerate(kinds):
            label, colour, dash, marker = KINDS[kind]
            rows = [row for row in found if row["kind"] == kind]
            shift = _APART * (2 * number - len(kinds) + 1)
            places = [counts.index(row["clips"]) + shift for row in rows]
            values = [row["accuracy"]["pooled"] for row in rows]
            axis.plot(places, values, color=colour, linestyle=dash, marker=marker, markersize=4, label=label)
            for place, row in zip(places, rows, strict=True):
                if row["accuracy"]["low"] is not None:
                    ends = row["accuracy"]["low"], row["accuracy"]["high"]
                    axis.vlines(place, *ends, color=colour, linewidth=0.8)
        if whole is not None:
            if whole["accuracy"]["low"] is not None:
                ends = whole["accuracy"]["low"], whole["accuracy"]["high"]
                axis.vlines(len(counts), *ends, color=GREY, linewidth=0.8)
            axis.plot(
                [len(counts)], [whole["accuracy"]["pooled"]],
                color=GREY, marker="D", markersize=4.5, linestyle="none", label="all clips, scored too",
            )  # fmt: skip
        ticks = [str(count) for count in counts] + (["all"] if whole is not None else [])
        axis.set_xticks(range(len(ticks)), ticks)
        axis.set_xlim(-0.4, len(ticks) - 0.6)
        axis.set_xlabel("known clips of the speaker, without labels")
        score_axis(axis, "accuracy, percent")
        figure.legend(loc="outside upper center", ncols=3, frameon=False, handletextpad=0.4, fontsize=7.5)

    return Chart(
        name,
        "Knowing the voice",
        svg(name, alt, 230, paint),
        alt,
        ("known clips", "of", "accuracy", "UAR", "against none known", "clips scored", "speakers"),
        tuple(_row(row) for row in found),
        "Clips of the same speaker, without labels, that are not scored; every difference is over the same scored "
        "clips, paired over speakers. The lines score different clips, those that each leaves over; where "
        "all clips are known they are scored too.",
    )


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    gain = row.get("difference")
    return (
        "all" if row["clips"] is None else str(row["clips"]),
        _KNOWN.get(row["kind"]) or KINDS[row["kind"]][0],
        f"{percent(row['accuracy']['pooled'])} {interval(row['accuracy']['low'], row['accuracy']['high'])}",
        percent(row["uar"]["pooled"]),
        NONE if gain is None else difference(gain["value"], gain["low"], gain["high"]),
        str(row["n_clips"]),
        str(row["n_speakers"]),
    )
