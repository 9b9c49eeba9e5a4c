"""What happened while the heads were fitted: curves over epochs, or the score of each candidate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from unheard.errors import need
from unheard.metrics.formatting import NONE, number, score
from unheard.report.figures.chart import BLUE, GREY, PAPER, VERMILLION, Chart, svg
from unheard.report.system import System
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


def curves_chart(name: str, step: str, found: list[Curve], system: System | None = None) -> Chart | None:
    """Draw losses and scores over the steps, a thin line a fold, with a dot at what was chosen.

    Their mean is bold, and the score on test stands in a box where the ``system`` has the same metric. None where
    no history holds a loss or a score.
    """
    losses = sorted({q for c in found for q in c.values if "loss" in q or "nll" in q})
    scores = sorted({q for c in found for q in c.values if _is_score(q)})
    panels = [quantities for quantities in (losses, scores) if quantities]
    if not panels:
        return None
    chosen = [c.chosen for c in found if c.chosen is not None]
    picks = f" Chosen: {', '.join(f'{value:g}' for value in chosen[:12])}." if chosen else ""
    alt = f"{' and '.join(printable(q) for p in panels for q in p)} against {step} for {len(found)} fits.{picks}"

    def paint(figure: Figure) -> None:
        axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axis, quantities in zip(axes, panels, strict=True):
            for number_, quantity in enumerate(quantities[:2]):
                test = (
                    score_on_test(system, quantity) if system is not None and len(quantities) == 1 else None
                )
                draw_fits(axis, found, quantity, step, test, look=number_)
            if len(quantities) > 1:
                axis.legend(frameon=False, fontsize=8, loc="best")
            else:
                axis.set_ylabel(_words(quantities[0]), color=GREY)
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
        "A thin line is a fold and seed, the bold one their mean while at least half of them go on. A dot marks "
        "what was chosen, on training and validation speakers alone.",
    )


def draw_fits(
    axis: Axes, found: Sequence[Curve], quantity: str, step: str, test: str | None = None, look: int = 0
) -> None:
    """Draw one quantity of all fits: thin lines, a bold mean, dots at the chosen, and the test score in a box."""
    colour, dash, marker = ((BLUE, "-", "o"), (VERMILLION, (0, (4, 2)), "s"))[look % 2]
    several = sum(quantity in curve.values for curve in found) > 1
    for curve in found:
        if quantity not in curve.values:
            continue
        axis.plot(curve.steps, curve.values[quantity], color=colour, linestyle=dash, linewidth=0.7,
                  alpha=0.4 if several else 1.0, label=None if several else _words(quantity))  # fmt: skip
        if curve.chosen in curve.steps:
            there = curve.values[quantity][curve.steps.index(curve.chosen)]
            axis.plot([curve.chosen], [there], marker, color=colour, markersize=4.5, markeredgecolor=PAPER)
    if several:
        mean = mean_curve(found, quantity)
        axis.plot([x for x, _ in mean], [y for _, y in mean], color=colour, linestyle=dash, linewidth=2.2,
                  label=_words(quantity))  # fmt: skip
    if step == "C":
        axis.set_xscale("log")
        # Plain numbers: powers would be written as formulas, which the page does not set.
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.xaxis.set_minor_formatter(lambda value, _: "")
    else:
        axis.xaxis.set_major_locator(need("matplotlib.ticker", "eval").MaxNLocator(nbins=7, integer=True))
    if test is not None:
        axis.text(0.97, 0.06, test, transform=axis.transAxes, ha="right", va="bottom", fontsize=7.5,
                  bbox={"boxstyle": "square,pad=0.3", "facecolor": PAPER, "edgecolor": GREY})  # fmt: skip


def mean_curve(found: Sequence[Curve], quantity: str) -> list[tuple[float, float]]:
    """Return (step, mean over fits) for the steps that at least half of the fits reached.

    Beyond these the mean would be one of the few fits that went on longest.
    """
    at: dict[float, list[float]] = {}
    fits = [curve for curve in found if quantity in curve.values]
    for curve in fits:
        for step, value in zip(curve.steps, curve.values[quantity], strict=True):
            at.setdefault(step, []).append(value)
    return [(step, fmean(values)) for step, values in sorted(at.items()) if 2 * len(values) >= len(fits)]


def score_quantity(found: Sequence[Curve]) -> str | None:
    """Return the score on validation clips that the histories hold, if any."""
    names = sorted({q for curve in found for q in curve.values if _is_score(q)})
    return next((q for q in names if q.startswith("val")), names[0] if names else None)


def score_on_test(system: System, quantity: str) -> str | None:
    """Return ``test UAR 71.3``: the test score in the metric of a history, or None."""
    for metric, estimate in system.metrics:
        own = metric.name.rpartition(".")[2]
        if quantity.removeprefix("val_") in (metric.name, own, "mean_" + own):
            return f"test {metric.label} {score(estimate['pooled'], metric.percent)}"
    return None


def _is_score(quantity: str) -> bool:
    return any(word in quantity for word in ("uar", "acc", "f1", "score", "ccc"))


def _words(quantity: str) -> str:
    return printable(quantity).replace("_", " ").replace("uar", "UAR")


def _at(curve: Curve, quantity: str) -> str:
    if curve.chosen is None or curve.chosen not in curve.steps or quantity not in curve.values:
        return NONE
    return number(curve.values[quantity][curve.steps.index(curve.chosen)])


def _plain(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
