"""What happened while the heads were fitted: curves over epochs, or the score of each candidate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unheard.metrics.formatting import NONE, number
from unheard.report.figures.chart import BLUE, GREY, VERMILLION, Chart, svg
from unheard.report.wording import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: What a history runs over, and under which name the head says what it chose. Epochs are counted from 0 in a
#: history and shown as the number trained, which is what is chosen.
_STEPS = {"epoch": "epochs", "C": "C"}


@dataclass(frozen=True)
class Curve:
    """History of one fold and seed: a value of each quantity for each step."""

    fold: int
    seed: int
    steps: tuple[float, ...]
    values: Mapping[str, tuple[float, ...]]
    chosen: float | None


def curves(fits: Sequence[Mapping[str, Any]]) -> tuple[str, list[Curve]]:
    """Read the records of the folds: the name of the steps, and one curve a fold and seed with a history.

    Folds whose history runs over something else than the first one's are left out; so are histories over the
    layers of an encoder, which ``figures/layer_choices.py`` shows.
    """
    found = []
    name = ""
    for fit in fits:
        rows = [row for row in fit.get("history") or () if isinstance(row, Mapping)]
        step = next((s for s in _STEPS if rows and all(_plain(row.get(s)) for row in rows)), None)
        if step is None or any("layer" in row for row in rows) or (name and _STEPS[step] != name):
            continue
        name = _STEPS[step]
        ahead = 1 if step == "epoch" else 0
        quantities = [k for k in rows[0] if k != step and all(_plain(row.get(k)) for row in rows)]
        values = {k: tuple(float(row[k]) for row in rows) for k in quantities}
        chosen = (fit.get("chosen") or {}).get(name)
        found.append(
            Curve(
                int(fit.get("fold", 0)),
                int(fit.get("seed", 0)),
                tuple(float(row[step]) + ahead for row in rows),
                values,
                None if chosen is None or not _plain(chosen) else float(chosen),
            )
        )
    return name, found


def curves_chart(name: str, step: str, found: list[Curve]) -> Chart | None:
    """Draw losses and scores over the steps, a thin line a fold, with a dot at what was chosen.

    None where no history holds a loss or a score.
    """
    losses = sorted({q for c in found for q in c.values if "loss" in q or "nll" in q})
    scores = sorted(
        {q for c in found for q in c.values if any(s in q for s in ("uar", "acc", "f1", "score"))}
    )
    panels = [quantities for quantities in (losses, scores) if quantities]
    if not panels:
        return None
    chosen = [c.chosen for c in found if c.chosen is not None]
    picks = f" Chosen: {', '.join(f'{value:g}' for value in chosen[:12])}." if chosen else ""
    alt = f"{' and '.join(printable(q) for p in panels for q in p)} against {step} for {len(found)} fits.{picks}"

    def paint(figure: Figure) -> None:
        axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axis, quantities in zip(axes, panels, strict=True):
            _panel(axis, quantities[:2], found, log=step == "C")
            axis.grid()
        axes[-1].set_xlabel(step)

    last = scores[-1] if scores else losses[-1]
    return Chart(
        name,
        "While it was fitted",
        svg(name, alt, 50 + 130 * len(panels), paint),
        alt,
        (
            "fold",
            "seed",
            "epochs trained" if step == "epochs" else f"values of {step}",
            "chosen",
            f"{last} at the chosen",
        ),
        tuple(
            (
                str(c.fold),
                str(c.seed),
                str(len(c.steps)),
                NONE if c.chosen is None else f"{c.chosen:g}",
                _at(c, last),
            )
            for c in found
        ),
        "One line a fold and seed. A dot marks what was chosen, on training and validation speakers alone.",
    )


def _panel(axis: Axes, quantities: list[str], found: list[Curve], log: bool) -> None:
    styles = ((BLUE, "-", "o"), (VERMILLION, (0, (4, 2)), "s"))
    for quantity, (colour, dash, marker) in zip(quantities, styles, strict=False):
        label: str | None = printable(quantity).replace("_", " ")
        for curve in found:
            if quantity not in curve.values:
                continue
            axis.plot(curve.steps, curve.values[quantity], color=colour, linestyle=dash, linewidth=0.9, alpha=0.75,
                      label=label)  # fmt: skip
            label = None
            if curve.chosen in curve.steps:
                there = curve.values[quantity][curve.steps.index(curve.chosen)]
                axis.plot(
                    [curve.chosen], [there], marker, color=colour, markersize=5, markeredgecolor="white"
                )
    if log:
        axis.set_xscale("log")
        # Plain numbers: powers would be written as formulas, which the page does not set.
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.xaxis.set_minor_formatter(lambda value, _: "")
    if len(quantities) > 1:
        axis.legend(frameon=False, fontsize=8, loc="best")
    else:
        axis.set_ylabel(printable(quantities[0]).replace("_", " ").replace("uar", "UAR"), color=GREY)


def _at(curve: Curve, quantity: str) -> str:
    if curve.chosen is None or curve.chosen not in curve.steps or quantity not in curve.values:
        return NONE
    return number(curve.values[quantity][curve.steps.index(curve.chosen)])


def _plain(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
