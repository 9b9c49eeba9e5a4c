"""Was a fusion worth it: against its best single run fold by fold, and paired over speakers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unheard.comparison.compare import compare
from unheard.decide.late_fusion import strongest_first
from unheard.fusion.aligned_runs import AlignedRuns, Floats
from unheard.fusion.fold import Fused
from unheard.predictions.table import clean


def fusion_results(
    aligned: AlignedRuns, fused: Sequence[Fused], predicted: pl.DataFrame, weights: str
) -> dict[str, Any]:
    """Return what ``results.json`` says under ``fusion``.

    Parameters
    ----------
    aligned, fused, predicted
        The aligned runs, their fusion fold by fold, and the prediction table that came of it.
    weights
        How the weights were chosen.

    Returns
    -------
    ``members``: names of the runs. ``best``: the run that is strongest over all folds, and ``chosen_by``: on which
    rows, ``validation``, or ``test`` where a run has no others. ``folds``: for each fold and seed its own ``best``
    (by the same rows; of all folds where these are test rows), and the accuracies of ``fusion`` and ``best`` on
    ``val`` and ``test``. ``held`` of ``of``: in how many of these the fusion was at least as accurate on test.
    ``unanswered``: test clips that a run has no prediction for. ``comparison``: with the best run, paired.
    """
    y = aligned.labels
    each_alone = [
        _whole(aligned, fused, [part.calibrated[m] for part in fused]) for m in range(len(aligned.names))
    ]
    mixed = _whole(aligned, fused, [part.probabilities for part in fused])
    every = aligned.where(part="val" if aligned.has_validation else "test")
    best = strongest_first([p[every] for p in each_alone], y[every])[0]
    folds: list[dict[str, Any]] = []
    for part in fused:
        rows_of = {
            split: aligned.where(fold=part.fold, seed=part.seed, part=split) for split in ("val", "test")
        }
        val = rows_of["val"]
        own = strongest_first([p[val] for p in each_alone], y[val])[0] if val.any() else best
        scores = {
            split: {
                "fusion": _accuracy(mixed[rows], y[rows]),
                "best": _accuracy(each_alone[own][rows], y[rows]),
            }
            for split, rows in rows_of.items()
            if rows.any()
        }
        folds.append({"fold": part.fold, "seed": part.seed, "best": aligned.names[own], **scores})
    tested = [row["test"] for row in folds if "test" in row]
    paired = compare(
        clean(predicted),
        clean(aligned.runs[best].predictions),
        names=(predicted["system"][0], aligned.names[best]),
    )
    return {
        "weights": weights,
        "members": list(aligned.names),
        "best": aligned.names[best],
        "chosen_by": "validation" if aligned.has_validation else "test",
        "held": sum(row["fusion"] >= row["best"] for row in tested),
        "of": len(tested),
        "unanswered": _unanswered(aligned),
        "folds": folds,
        "comparison": paired.as_dict(),
    }


def _whole(aligned: AlignedRuns, fused: Sequence[Fused], parts: Sequence[Floats]) -> Floats:
    """Put the probabilities of the folds together, shape (n, C) over all rows."""
    whole = np.full(aligned.logits[0].shape, np.nan)
    for each, p in zip(fused, parts, strict=True):
        whole[each.here] = p
    return whole


def _unanswered(aligned: AlignedRuns) -> dict[str, int]:
    """Count by run the test clips without a prediction, where there are some."""
    tested = aligned.rows["part"] == "test"
    silent = {
        name: tested & pl.Series(np.any(np.isnan(p), axis=1))
        for name, p in zip(aligned.names, aligned.probabilities, strict=True)
    }
    return {name: aligned.rows.filter(rows)["id"].n_unique() for name, rows in silent.items() if rows.any()}


def _accuracy(p: Floats, y: NDArray[np.int64]) -> float:
    """Return the share of correct predictions; a clip without one is an error."""
    silent: NDArray[np.bool_] = np.any(np.isnan(p), axis=1)
    return float(((np.where(silent[:, None], 0.0, p).argmax(axis=1) == y) & ~silent).mean())
