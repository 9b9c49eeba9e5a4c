"""What the layers of an encoder know, one panel a question, over the layers from the lowest to the highest.

The probe for the speaker is trained on its speakers and the probe for emotion is not: they have panels of their
own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from unheard.metrics.formatting import NONE, interval, number, percent
from unheard.report.figures.chart import BLUE, GREY, INK, PAPER, VERMILLION, Chart, score_axis, svg
from unheard.report.wording import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def layers_chart(name: str, found: Mapping[str, Any]) -> Chart:
    """Draw saliency, the probes' scores and, where given, learned weights; ``found`` is as in ``layers.json``."""
    layers = found["layers"]
    salient = found["salient"]["layer"]
    weighted = all("weight" in layer for layer in layers)
    asked = [about for about in ("emotion", "speaker") if found.get(about)]
    alt = _alt(found, asked, weighted)

    def paint(figure: Figure) -> None:
        axes = figure.subplots(1 + len(asked) + weighted, 1, sharex=True, squeeze=False)[:, 0]
        _saliency(axes[0], layers)
        for axis, about in zip(axes[1:], asked, strict=False):
            _probe(axis, layers, about, found[about]["chance"])
        if weighted:
            weights_panel(axes[-1], [[layer["weight"] for layer in layers]])
        for axis in axes:
            axis.axvline(salient, color=VERMILLION, linewidth=0.9, linestyle=(0, (1, 2)), zorder=0)
            axis.grid(axis="y")
        axes[0].annotate(
            "salient", (salient, 1), xycoords=("data", "axes fraction"), xytext=(0, 1.5),
            textcoords="offset points", ha="center", va="bottom", fontsize=7.5, color=VERMILLION,
        )  # fmt: skip
        layer_axis(axes[-1], [str(layer["name"]) for layer in layers])

    return Chart(
        name,
        "What the layers know",
        svg(name, alt, 40 + 95 * (1 + len(asked) + weighted), paint),
        alt,
        (
            "layer",
            "name",
            "saliency",
            "95 % band",
            "r alone",
            "band of r",
            *(column for about in asked for column in (_HEADINGS[about], "95 % interval")),
            *(("learned weight",) if weighted else ()),
        ),
        tuple(_row(layer, asked, weighted) for layer in layers),
        _note(found, asked),
    )


def layer_axis(axis: Axes, names: Sequence[str]) -> None:
    """Set ticks at the layers: their names where these are few and short, else their numbers."""
    count = len(names)
    step = 1 if count <= 14 else 2 if count <= 27 else 4
    words = count <= 8 and all(len(name) <= 10 for name in names)
    ticks = range(0, count, step)
    axis.set_xticks(ticks, [printable(names[k]) if words else str(k) for k in ticks])
    axis.set_xlim(-0.6, count - 0.4)
    axis.set_xlabel(
        "layer (0 enters the first layer)" if all(n == str(k) for k, n in enumerate(names)) else "layer"
    )


def weights_panel(axis: Axes, weights: Sequence[Sequence[float]]) -> None:
    """Draw the learned weights, a line a fold, against the uniform line 1 / layers."""
    count = len(weights[0])
    axis.axhline(
        1 / count, color=INK, linewidth=0.9, linestyle=(0, (5, 3)), label=f"uniform {number(1 / count)}"
    )
    label: str | None = "learned weight"
    for fold in weights:
        axis.plot(range(count), fold, "o-", color=BLUE, markersize=3, linewidth=0.9, alpha=0.8, label=label)
        label = None
    axis.set_ylim(0, 1.25 * max(max(max(fold) for fold in weights), 1 / count))
    axis.set_ylabel("weight")
    _legend(axis)


#: Headings of the tables: what each score is a score of.
_HEADINGS = {"emotion": "emotion UAR %", "speaker": "UAR % for training speakers"}
_LABELS = {"emotion": "emotion,\nUAR percent", "speaker": "training speaker,\nUAR percent"}
_HELD = {"speakers": "speakers", "sentences": "sentences", "clips": "recordings"}


def _saliency(axis: Axes, layers: Sequence[Mapping[str, Any]]) -> None:
    where = range(len(layers))
    for part, colour, mark, label in (
        ("score", BLUE, "o-", "saliency"),
        ("correlation", GREY, "s--", "r alone"),
    ):
        bands = [layer["saliency"][part] for layer in layers]
        if all(band["low"] is not None for band in bands):
            low, high = ([band[end] for band in bands] for end in ("low", "high"))
            axis.fill_between(where, low, high, color=colour, alpha=0.18, linewidth=0)
        axis.plot(where, [band["value"] for band in bands], mark, color=colour, markersize=4, label=label)
    axis.set_ylim(bottom=0)
    axis.set_ylabel("saliency")
    _legend(axis)


def _probe(axis: Axes, layers: Sequence[Mapping[str, Any]], about: str, chance: float) -> None:
    where = range(len(layers))
    scores = [layer[about] for layer in layers]
    if all(score["low"] is not None for score in scores):
        low, high = ([score[end] for score in scores] for end in ("low", "high"))
        axis.fill_between(where, low, high, color=BLUE, alpha=0.18, linewidth=0)
    axis.plot(where, [score["uar"] for score in scores], "o-" if about == "emotion" else "D-", color=BLUE,
              markersize=4, markerfacecolor=BLUE if about == "emotion" else PAPER)  # fmt: skip
    axis.axhline(chance, color=INK, linewidth=0.9, linestyle=(0, (5, 3)), label=f"chance {percent(chance)}")
    score_axis(axis, _LABELS[about], low=0, high=1)
    _legend(axis)


def _legend(axis: Axes) -> None:
    axis.legend(frameon=False, fontsize=7.5, loc="best", ncols=2, handlelength=1.8, columnspacing=1.0)


def _row(layer: Mapping[str, Any], asked: Sequence[str], weighted: bool) -> tuple[str, ...]:
    score, r = (layer["saliency"][part] for part in ("score", "correlation"))
    cells = [
        str(layer["layer"]),
        printable(layer["name"]),
        number(score["value"]),
        _band(score),
        number(r["value"]),
        _band(r),
    ]
    for about in asked:
        cells += [percent(layer[about]["uar"]), interval(layer[about]["low"], layer[about]["high"])]
    return (*cells, *((number(layer["weight"]),) if weighted else ()))


def _band(value: Mapping[str, float | None]) -> str:
    low, high = value["low"], value["high"]
    return NONE if low is None or high is None else f"[{number(low)}, {number(high)}]"


def _alt(found: Mapping[str, Any], asked: Sequence[str], weighted: bool) -> str:
    layers = found["layers"]
    said = [f"Saliency of {len(layers)} layers, highest at layer {found['salient']['layer']}."]
    for about in asked:
        best = max(layers, key=lambda layer: layer[about]["uar"])
        what = "emotion" if about == "emotion" else "the speaker, on whom it was trained,"
        top = percent(best[about]["uar"])
        said.append(f"A probe's UAR for {what} is highest at layer {best['layer']} ({top} %).")
    if weighted:
        heaviest = max(layers, key=lambda layer: layer["weight"])
        said.append(f"The head's largest learned weight is that of layer {heaviest['layer']}.")
    return " ".join(said)


def _note(found: Mapping[str, Any], asked: Sequence[str]) -> str:
    said = ["Shaded: 95 % over draws of speakers. Training speakers of one fold alone."]
    if "emotion" in asked:
        said.append(
            f"The probe for emotion is tested on {_HELD[found['emotion']['held_out']]} that it was not trained on."
        )
    if "speaker" in asked:
        said.append(
            f"The probe for the speaker is trained on its {found['speaker']['classes']} speakers, and is tested "
            f"on other {_HELD[found['speaker']['held_out']]} of theirs: that is no score for unheard people."
        )
    return " ".join(said)
