"""The page: one HTML file without a script, that loads nothing and can be mailed, printed and kept.

Every string of a table, a recipe or a file name is escaped by the template; only the drawings of
:mod:`unheard.report.figures` are inserted as they are, and those escape their own texts.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from unheard.comparison.compare import Comparison
from unheard.comparison.wording import describe
from unheard.files import write_text
from unheard.metrics import formatting
from unheard.metrics.block import Metric
from unheard.report import wording
from unheard.report.anchors import anchors
from unheard.report.comparisons import Compared, compared, leakage_gaps
from unheard.report.figures.axis import axis_chart, axis_rows
from unheard.report.figures.chart import Chart
from unheard.report.figures.differences import differences_chart
from unheard.report.figures.fold_dots import fold_dots_chart
from unheard.report.figures.validation import validation_chart
from unheard.report.findings import baseline, certificate_of, findings
from unheard.report.section import section
from unheard.report.system import System, checked
from unheard.report.template import render


def page(
    systems: Sequence[System], out: str | os.PathLike[str], *, paths: bool = False, audio: bool = False
) -> None:
    """Write the report over one or several systems to ``out``, atomically.

    The same systems give the same bytes.

    Parameters
    ----------
    systems
        What is shown.
    out
        The file.
    paths
        Show paths whole; else only their last parts, since a page is meant to be shared.
    audio
        Put the recordings of the worst mistakes into the page: at most ten a system, ten seconds of each.

    Raises
    ------
    DataError
        Nothing to show, or two systems of one name: see :func:`unheard.report.system.checked`.
    """
    write_text(out, html(systems, paths=paths, audio=audio))


def html(systems: Sequence[System], *, paths: bool = False, audio: bool = False) -> str:
    """Return the page as text; see :func:`page`."""
    return render("page.html.j2", **_context(checked(systems), paths, audio))


def _context(systems: list[System], paths: bool, audio: bool) -> dict[str, Any]:
    groups, gains = compared(systems), leakage_gaps(systems)
    names = wording.listed(system.name for system in systems)
    return {
        "title": f"{wording.printable(names, 80)}: unheard report",
        "heading": systems[0].name if len(systems) == 1 else f"{len(systems)} systems",
        "findings": findings(systems, groups, gains),
        "tables": [t for t in (_scores(systems, False), _scores(systems, True)) if t["rows"]],
        "axes": _axes(systems),
        "together": _side_by_side(systems),
        "comparisons": _comparisons(groups, gains),
        "sections": [section(f"s{i}", system, audio=audio) for i, system in enumerate(systems)],
        "audio": audio,
        "paths": paths,
    }


def _comparisons(
    groups: Sequence[Compared], gains: Sequence[Comparison]
) -> list[tuple[Chart, list[list[str]]]]:
    """Return the charts of the leakage gaps and of each protocol's pairs, each with its pairs in words."""
    sets: list[tuple[str, str, Sequence[Comparison]]] = [("leakage", "Leakage gap", gains)] if gains else []
    sets += [
        (f"pairs{i}", f"Paired over speakers, {wording.printable(g.protocol)}", g.pairs)
        for i, g in enumerate(groups)
    ]
    return [
        (differences_chart(name, title, pairs), [describe(c).splitlines() for c in pairs])
        for name, title, pairs in sets
    ]


def _axes(systems: list[System]) -> list[Chart]:
    """Return one axis for each of accuracy and UAR."""
    published = anchors(systems)
    charts = []
    for metric in ("accuracy", "uar"):
        rows = axis_rows(systems, published, metric)
        if any(row.ours for row in rows) and len(rows) > 1:
            charts.append(axis_chart(f"axis-{metric}", rows, metric, _chance(systems, metric)))
    return charts


def _side_by_side(systems: list[System]) -> list[Chart]:
    """Return the figures that hold several systems: their folds, and their curves on validation clips."""
    charts = (
        fold_dots_chart("folds-together", systems, _chance(systems, "accuracy")),
        validation_chart("validation-together", systems),
    )
    return [chart for chart in charts if chart is not None]


def _chance(systems: list[System], metric: str) -> float | None:
    """Return what guessing gives, where it is the same for all systems."""
    levels = {baseline(s, "chance", metric) for s in systems}
    return levels.pop() if len(levels) == 1 else None


def _scores(systems: list[System], stamped: bool) -> dict[str, Any]:
    """Return the rows of one table of scores by protocol, with each protocol's baselines below its systems."""
    rows: list[dict[str, Any]] = []
    those = [s for s in systems if bool(s.stamps) == stamped]
    columns = _columns(those)
    for protocol_hash in dict.fromkeys(s.protocol_hash for s in those):
        group = [s for s in those if s.protocol_hash == protocol_hash]
        rows += [_score_row(f"s{systems.index(s)}", s, columns) for s in group]
        for which, label in (("majority", "commonest class"), ("chance", "chance")):
            cells = [
                formatting.percent(baseline(group[0], which, m.name) if m.name in _BASELINED else None)
                for m in columns
            ]
            if set(cells) != {formatting.NONE} and len(group[0].labelled.label):
                rows.append({"name": label, "protocol": group[0].protocol, "baseline": True, "cells": cells})
    return {"stamped": stamped, "columns": [m.label for m in columns], "rows": rows}


#: Scores of the table, where some system of it has them; the first three have baselines.
_BASELINED = ("accuracy", "uar", "macro_f1")
_TABLED = (*_BASELINED, "ece", "kl", "mean.ccc")


def _columns(systems: list[System]) -> list[Metric]:
    found = {metric.name: metric for system in systems for metric, _ in system.metrics}
    return [found[name] for name in _TABLED if name in found]


def _score_row(anchor: str, system: System, columns: list[Metric]) -> dict[str, Any]:
    return {
        "name": system.name,
        "anchor": anchor,
        "protocol": system.protocol,
        "hash": system.protocol_hash[:12],
        "training_speakers": system.results.get("n_train_speakers"),
        "speakers": system.results.get("n_speakers"),
        "certificate": certificate_of(system),
        "stamps": system.stamps,
        "baseline": False,
        "headline": [_cell(system, metric) for metric in system.headline()],
        # The calibration error stands alone: its interval lies too high (docs/metrics.md).
        "cells": [
            {"pooled": formatting.number(system.metric("ece")), "interval": formatting.NONE, "fold": ""}
            if metric.name == "ece"
            else _cell(system, metric)
            for metric in columns
        ],
    }


def _cell(system: System, metric: Metric) -> dict[str, str]:
    def part(name: str) -> float | None:
        return system.metric(metric.name, name)

    return {
        "label": metric.label,
        "unit": " %" if metric.percent else "",
        "fold": formatting.spread(part("mean"), part("sd"), metric.percent),
        "pooled": formatting.score(part("pooled"), metric.percent),
        "interval": formatting.interval(part("low"), part("high"), metric.percent),
    }
