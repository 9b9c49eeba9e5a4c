"""Comparisons kept with stored results: computed again where the predictions are kept, read where they may not be.

``results/RECIPE/PROTOCOL/against/OTHER.json`` is :meth:`~unheard.comparison.compare.Comparison.as_dict` of RECIPE
against OTHER on PROTOCOL, both of which are stored there.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl

from unheard.comparison.compare import Comparison, compare
from unheard.errors import DataError, UsageError
from unheard.files import write_json
from unheard.formats import json_text
from unheard.metrics.blocks import stored_metrics
from unheard.metrics.formatting import difference
from unheard.predictions.table import read_predictions
from unheard.runs.folder import Run

AGAINST = "against"


def store_comparisons(run: Run, others: Sequence[Run], target: Path) -> None:
    """Write the comparisons of a run, stored at ``target``, with others.

    Raises
    ------
    UsageError
        The predictions are kept, so that comparisons are computed from these.
    """
    if others and (target / "predictions.parquet").is_file():
        raise UsageError(f"{target}: predictions are kept here, and comparisons are computed from them")
    for other in others:
        names = (str(run.scores["recipe"]), str(other.scores["recipe"]))
        found = compare(run.predictions, other.predictions, names=names)
        write_json(target / AGAINST / f"{names[1]}.json", found.as_dict())


def comparison(folder: Path, recipe: str, other: str, protocol: str) -> Comparison:
    """Return how a stored recipe compares with another, from their predictions where both are kept.

    Raises
    ------
    DataError
        Neither predictions nor a comparison are stored.
    """
    mine, theirs = folder / recipe / protocol, folder / other / protocol
    if (mine / "predictions.parquet").is_file():
        return compare(kept_rows(mine), kept_rows(theirs))
    stored = mine / AGAINST / f"{other}.json"
    if not stored.is_file():
        raise DataError(f"{mine}: neither predictions nor a comparison with {other} are stored")
    return Comparison.from_dict(json_text.read_object(stored))


def cell(found: Comparison, heading: str) -> str:
    """Return what stands under ``difference`` and ``p`` (the primary test) or under the label of another metric.

    Raises
    ------
    DataError
        No metric of the comparison is called so.
    """
    if heading == "difference":
        return difference(found.difference, found.low, found.high)
    if heading == "p":
        return "< 0.0001" if found.p < 1e-4 else f"{found.p:.4f}"
    known = {one["label"]: one for one in found.secondary.get("exchange", {}).values()}
    if heading not in known:
        raise DataError(
            f"{found.a} against {found.b}: nothing compared is called {heading!r}; known are: "
            + ", ".join(("difference", "p", *known))
        )
    one = known[heading]
    return difference(one["difference"], one["low"], one["high"], one["percent"])


def drift(folder: Path) -> list[str]:
    """Return where a stored comparison is not the difference of the stored results of its two systems."""
    problems = []
    for path in sorted(folder.rglob(f"{AGAINST}/*.json")):
        found = Comparison.from_dict(json_text.read_object(path))
        here = path.parent.parent
        mine, theirs = _pooled(here), _pooled(folder / path.stem / here.name)
        beside = found.secondary.get("exchange", {})
        due = {name: mine[name] - theirs[name] for name in beside}
        said = {name: one["difference"] for name, one in beside.items()}
        if found.speakers and "UNVERIFIED" not in found.marks:
            due["difference"], said["difference"] = (
                float(np.mean([*found.speakers.values()])),
                found.difference,
            )
        problems += [
            f"{path}: {name} is stored as {said[name]}, the results differ by {value}"
            for name, value in due.items()
            if abs(said[name] - value) > 1e-9
        ]
    return problems


@cache
def kept_rows(folder: Path) -> pl.DataFrame:
    """Return the stored predictions of the test clips."""
    return read_predictions(folder / "predictions.parquet").filter(pl.col("part") == "test")


def _pooled(folder: Path) -> dict[str, float]:
    results = json_text.read_object(folder / "results.json")
    return {metric.name: estimate["pooled"] for metric, estimate in stored_metrics(results)}
