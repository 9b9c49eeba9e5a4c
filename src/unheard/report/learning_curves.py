"""The page of ``unheard curve``: the score over the amount of training data, and how much of it a score needs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from unheard.files import write_text
from unheard.metrics.formatting import counted, percent
from unheard.report.figures.learning_curves import OF, curves_chart
from unheard.report.template import render
from unheard.report.wording import listed, meaning, printable


def curves_page(found: Mapping[str, Any], out: str | os.PathLike[str]) -> None:
    """Write the page of a ``curve.json`` atomically; the same content gives the same bytes."""
    write_text(out, curves_html(found))


def curves_html(found: Mapping[str, Any]) -> str:
    """Return the page as text."""
    names = [printable(curve["recipe"]) for curve in found["curves"]]
    return render(
        "figure.html.j2",
        command="unheard curve",
        about="learning curves",
        heading=listed(names),
        stamps=[(stamp, meaning(stamp)) for stamp in found["stamps"]],
        sentences=sentences(found),
        chart=curves_chart("curve", found),
        table=None,
        footer="No test speaker was learned from: subsets are of each fold's training clips alone.",
    )


def sentences(found: Mapping[str, Any]) -> list[str]:
    """Say who was tested, the data ratio of every pair, and what was kept at every size."""
    who = counted(found["n_speakers"], "speaker") if found["n_speakers"] else "unknown speakers"
    where = f"{printable(found['protocol'])}, {counted(len(found['folds']), 'fold')}"
    said = [f"{counted(found['n_clips'], 'test clip')} of {who} on {where}."]
    said += [ratio_sentence(ratio, found["by"]) for ratio in found["ratios"]]
    early = [printable(curve["recipe"]) for curve in found["curves"] if curve["stops_early"]]
    if early:
        said.append(f"{listed(early)} stopped early on validation speakers, who are the same at every size.")
    changed = [
        f"{printable(curve['recipe'])}: {', '.join(map(printable, curve['changed']))}."
        for curve in found["curves"]
        if curve["changed"]
    ]
    return said + changed


def ratio_sentence(ratio: Mapping[str, Any], by: str) -> str:
    """Say how many times as much one recipe needs as another, and what each needs."""
    unit = OF[by]
    more, fewer = printable(ratio["more"]), printable(ratio["fewer"])
    at = f"for a UAR of {percent(ratio['score'])} %"
    if ratio["ratio"] is None and ratio["least"] is None and ratio["most"] is None:
        return f"{more} against {fewer} {at}: their curves do not say how many {unit} it needs."
    if ratio["ratio"] is not None:
        times = _times(ratio["ratio"])
    elif ratio["least"] is not None:
        times = f"at least {_times(ratio['least'])}"
    else:
        times = f"at most {_times(ratio['most'])}"
    if ratio["n_more"] is not None and ratio["n_fewer"] is not None:
        at += f" ({ratio['n_more']:,.0f} against {ratio['n_fewer']:,.0f})"
    return f"{more} needs {times}{_interval(ratio)} times as many training {unit} as {fewer} {at}."


def _interval(ratio: Mapping[str, Any]) -> str:
    low, high = ratio["low"], ratio["high"]
    if low is None and high is None:
        return ""
    if low is None:
        return f" [up to {_times(high)}]"
    return f" [{_times(low)} or more]" if high is None else f" [{_times(low)}, {_times(high)}]"


def _times(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"
