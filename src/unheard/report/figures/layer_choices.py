"""Which layers of an encoder the heads of a run took: what they weighted, or the one that they chose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unheard.metrics.formatting import NONE, number, percent
from unheard.report.figures.chart import BLUE, PAPER, VERMILLION, Chart, svg
from unheard.report.figures.layers import layer_axis, weights_panel
from unheard.report.wording import listed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Fits = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Choice:
    """What one fold and seed chose; ``scores`` maps each layer to its best score while choosing."""

    fold: int
    seed: int
    layer: int
    C: float | None
    scores: Mapping[int, float]


def weights_chart(name: str, fits: Fits) -> Chart | None:
    """Draw the learned weights of every fold against the uniform line; None where no head weights layers."""
    found = [(fit, [float(w) for w in (fit.get("learned") or {}).get("layer_weights") or ()]) for fit in fits]
    found = [(fit, weights) for fit, weights in found if weights]
    if not found or len({len(weights) for _, weights in found}) > 1:
        return None
    weights = [w for _, w in found]
    count = len(weights[0])
    heaviest = [max(range(count), key=w.__getitem__) for w in weights]
    means = [sum(column) / len(weights) for column in zip(*weights, strict=True)]
    top = max(range(count), key=means.__getitem__)
    alt = (
        f"Learned weights of {count} layers in {len(weights)} fits. Uniform would be {number(1 / count)}; the "
        f"largest mean is {number(means[top])}, of layer {top}."
    )

    def paint(figure: Figure) -> None:
        axis = figure.subplots()
        weights_panel(axis, weights)
        axis.grid(axis="y")
        layer_axis(axis, [str(k) for k in range(count)])

    return Chart(
        name,
        "Learned weights of the layers",
        svg(name, alt, 170, paint),
        alt,
        ("fold", "seed", "heaviest layer", *(f"layer {k}" for k in range(count))),
        tuple(
            (str(fit.get("fold", 0)), str(fit.get("seed", 0)), str(most), *(number(w) for w in each))
            for (fit, each), most in zip(found, heaviest, strict=True)
        ),
        "One line a fold and seed. Weights near the uniform line: no layer was learned to count for more.",
    )


def choices(fits: Fits) -> list[Choice]:
    """Read which layer each fold and seed chose (``chosen: {layer, C}``), and its history over layers."""
    found = []
    for fit in fits:
        chosen = fit.get("chosen") or {}
        if not isinstance(chosen, Mapping) or not _whole(chosen.get("layer")):
            continue
        scores: dict[int, float] = {}
        for row in fit.get("history") or ():
            if (
                isinstance(row, Mapping)
                and _whole(row.get("layer"))
                and isinstance(row.get("uar"), int | float)
            ):
                scores[row["layer"]] = max(scores.get(row["layer"], 0.0), float(row["uar"]))
        C = chosen.get("C")
        found.append(
            Choice(
                int(fit.get("fold", 0)), int(fit.get("seed", 0)), chosen["layer"],
                float(C) if isinstance(C, int | float) else None, scores,
            )
        )  # fmt: skip
    return found


def choices_chart(name: str, found: Sequence[Choice]) -> Chart | None:
    """Draw the score of each layer while it was chosen, a line a fold, a dot at the chosen; None without any."""
    if not found or not all(choice.scores for choice in found):
        return None
    count = 1 + max(max(choice.layer, *choice.scores) for choice in found)
    taken = sorted({choice.layer for choice in found})
    times = [sum(choice.layer == layer for choice in found) for layer in taken]
    said = listed(
        f"layer {layer} {n} times" if n > 1 else f"layer {layer} once"
        for layer, n in zip(taken, times, strict=True)
    )
    alt = f"UAR on inner folds of the training speakers against the layer, for {len(found)} fits. Chosen: {said}."

    def paint(figure: Figure) -> None:
        axis = figure.subplots()
        for choice in found:
            layers = sorted(choice.scores)
            axis.plot(layers, [choice.scores[k] for k in layers], color=BLUE, linewidth=0.9, alpha=0.7)
        for choice in found:
            top = choice.scores.get(choice.layer, 0.0)
            axis.plot([choice.layer], [top], "o", color=VERMILLION, markersize=5.5, markeredgecolor=PAPER)
        axis.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f}")
        axis.set_ylabel("UAR, percent")
        axis.grid(axis="y")
        layer_axis(axis, [str(k) for k in range(count)])

    return Chart(
        name,
        "Which layer was chosen",
        svg(name, alt, 170, paint),
        alt,
        ("fold", "seed", "layer", "C", "UAR % on inner folds"),
        tuple(
            (
                str(c.fold), str(c.seed), str(c.layer), NONE if c.C is None else f"{c.C:g}",
                percent(c.scores.get(c.layer)),
            )
            for c in found
        ),
        "One line a fold and seed: the best score of each layer on inner folds of the training speakers, which "
        "the choice among many makes too high. A dot marks what was chosen; no test speaker was used.",
    )  # fmt: skip


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
