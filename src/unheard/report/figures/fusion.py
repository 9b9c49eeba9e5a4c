"""What a late fusion fitted: the weight and the temperature of each system, fold by fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from unheard.metrics.formatting import number
from unheard.report.figures.chart import BLUE, GREY, INK, VERMILLION, Chart, svg
from unheard.report.wording import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Marker and colour of each system; colours of Okabe and Ito, and no two systems have one marker.
_LOOKS = (
    ("o", BLUE), ("D", VERMILLION), ("s", "#009E73"), ("^", "#CC79A7"),
    ("v", "#E69F00"), ("P", "#56B4E9"), ("X", INK), ("*", GREY),
)  # fmt: skip


@dataclass(frozen=True)
class Fit:
    """What one fold and seed fitted, by system."""

    fold: int
    seed: int
    weights: Mapping[str, float]
    temperatures: Mapping[str, float]


def fusion_fits(fits: Sequence[Mapping[str, Any]]) -> list[Fit]:
    """Read the records of the folds (``chosen: {weights, temperatures}``); none where nothing was fitted."""
    found = []
    for fit in fits:
        chosen = fit.get("chosen") or {}
        if isinstance(chosen, Mapping) and {"weights", "temperatures"} <= set(chosen):
            found.append(Fit(int(fit["fold"]), int(fit["seed"]), chosen["weights"], chosen["temperatures"]))
    return found


def fusion_chart(name: str, fits: Sequence[Fit]) -> Chart | None:
    """Draw weights above temperatures, a mark a fold and system, means over seeds; None without fits."""
    if not fits:
        return None
    systems = list(fits[0].weights)
    folds = sorted({fit.fold for fit in fits})
    several = len({fit.seed for fit in fits}) > 1
    means = {system: fmean(fit.weights[system] for fit in fits) for system in systems}
    warmest = {system: [fit.temperatures[system] for fit in fits] for system in systems}
    alt = (
        f"Weights and temperatures of {len(systems)} systems in {len(folds)} folds. "
        + ". ".join(
            f"{printable(m)}: weight {number(means[m], 2)} on average, temperature {number(min(warmest[m]), 2)} "
            f"to {number(max(warmest[m]), 2)}"
            for m in systems
        )
        + "."
    )

    def paint(figure: Figure) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True)
        for axis, attribute in ((upper, "weights"), (lower, "temperatures")):
            _panel(axis, fits, systems, folds, attribute, several)
        upper.set_ylim(-0.05, 1.05)
        upper.set_ylabel("weight")
        lower.set_ylim(bottom=min(0.95, 0.95 * lower.get_ylim()[0]))
        lower.set_ylabel("temperature")
        lower.set_xticks(
            range(len(folds)), [str(fold) for fold in folds], fontsize=6 if len(folds) > 12 else 8
        )
        lower.set_xlabel("fold")
        lower.set_xlim(-0.6, len(folds) - 0.4)
        figure.align_ylabels((upper, lower))
        handles, labels = upper.get_legend_handles_labels()
        widest = max(len(label) for label in labels)
        figure.legend(
            handles, labels, loc="outside upper center", frameon=False, handletextpad=0.5, columnspacing=1.2,
            ncols=max(1, min(3, 66 // (widest + 5))),
        )  # fmt: skip

    return Chart(
        name,
        "Weights and temperatures of the fusion",
        svg(name, alt, 230 + 8 * len(systems), paint),
        alt,
        (
            "fold",
            "seed",
            *(f"{kind} of {printable(m)}" for m in systems for kind in ("weight", "temperature")),
        ),
        tuple(
            (
                str(fit.fold),
                str(fit.seed),
                *(number(v, 2) for m in systems for v in (fit.weights[m], fit.temperatures[m])),
            )
            for fit in fits
        ),
        "Fitted for each fold on rows of other speakers than those it tests. Weights sum to 1; a temperature "
        "above 1 makes a system less sure."
        + (" Marks are means over seeds; short grey lines are the seeds." if several else ""),
    )


def _panel(
    axis: Axes,
    fits: Sequence[Fit],
    systems: Sequence[str],
    folds: Sequence[int],
    attribute: str,
    several: bool,
) -> None:
    """Draw one quantity: systems side by side within a fold."""
    apart = min(0.16, 0.6 / len(systems))
    for k, system in enumerate(systems):
        marker, colour = _LOOKS[k % len(_LOOKS)]
        aside = (k - (len(systems) - 1) / 2) * apart
        values = [[getattr(fit, attribute)[system] for fit in fits if fit.fold == fold] for fold in folds]
        for i, each in enumerate(values if several else ()):
            axis.plot([i + aside] * len(each), each, "_", color=GREY, markersize=6)
        axis.plot(
            [i + aside for i in range(len(folds))], [fmean(each) for each in values], marker,
            color=colour, markersize=5.5, label=printable(system, 40),
        )  # fmt: skip
    axis.grid(axis="y")
