"""The same picture as PNG; matplotlib draws it."""

from __future__ import annotations

import io

import numpy as np

from unheard.presenting.drawing import colours, spoken, ticks
from unheard.presenting.shown import Shown, clock


def png(shown: Shown) -> bytes:
    """Return the picture, 1600 pixels wide."""
    from matplotlib.figure import Figure

    found, lanes = colours(shown.classes or shown.dimensions), shown.lanes()
    figure = Figure(figsize=(10, 2.6 + 1.2 * len(lanes)), dpi=160, layout="constrained")
    axes = figure.subplots(1 + len(lanes), 1, sharex=True, squeeze=False)[:, 0]
    peaks = shown.envelope(1000)
    at = np.linspace(0, shown.seconds, len(peaks))
    axes[0].fill_between(at, -peaks, peaks, color="#6b7280", linewidth=0)
    axes[0].set_ylim(-1.05, 1.05)
    axes[0].set_yticks([])
    title = f"{shown.title}\n{spoken(shown, name=False)}"
    axes[0].set_title(title, loc="left", fontsize=10, parse_math=False)
    for axis, (speaker, spans) in zip(axes[1:], lanes.items(), strict=True):
        axis.set_facecolor("#eef0f3")
        for span in spans:
            width, bottom = span.end - span.start, 1.0
            for name, p in span.probabilities.items():
                bottom -= p
                axis.bar(span.start, p, width, bottom, align="edge", color=found[name], linewidth=0)
            if not span.probabilities:
                for name, value in span.dimensions.items():
                    axis.hlines(value, span.start, span.end, color=found[name], linewidth=3)
            best = max(span.probabilities, key=span.probabilities.__getitem__, default=None)
            if best is not None:
                axis.bar(
                    span.start, 0.15, width, 1.03, align="edge", color=found[best], edgecolor="white",
                    linewidth=0, hatch="" if span.label else "/////",
                )  # fmt: skip
            if span.marks:
                axis.plot(span.start + width / 2, 1.1, marker="v", color="#b42318", markersize=4)
        axis.set_ylim(0, 1.2)
        axis.set_yticks([0, 0.5, 1])
        axis.set_ylabel(speaker or "probability", parse_math=False)
    axes[-1].set_xlim(0, max(shown.seconds, 0.1))
    places = ticks(shown.seconds)
    axes[-1].set_xticks(places, [clock(place, decimals=0, hours=False) for place in places])
    handles = [axes[-1].bar(0, 0, color=colour, label=name) for name, colour in found.items()]
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=min(8, len(handles)), frameon=False)
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()
