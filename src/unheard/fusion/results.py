"""Was a fusion worth it: against its best member fold by fold, and paired over speakers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unheard.decide.late_fusion import strongest_first
from unheard.fusion.aligned_runs import Floats, Members
from unheard.fusion.fold import Fused
from unheard.metrics.compare import compare
from unheard.predictions.table import clean


def fusion_results(
    members: Members, fused: Sequence[Fused], predicted: pl.DataFrame, weights: str
) -> dict[str, Any]:
    """Return what ``results.json`` says under ``fusion``.

    Parameters
    ----------
    members, fused, predicted
        The members, their fusion fold by fold, and the prediction table that came of it.
    weights
        How weights came about.

    Returns
    -------
    ``members``: names. ``best``: the member that is strongest over all folds, and ``chosen_by``: on which rows,
    ``validation``, or ``test`` where a member has no others. ``folds``: for each fold and seed its own ``best``
    (by the same rows; of all folds where these are test rows), and the accuracies of ``fusion`` and ``best`` on
    ``val`` and ``test``. ``held`` of ``of``: in how many of these the fusion was at least as accurate on test.
    ``unanswered``: test clips that a member gave no answer to. ``comparison``: with the best member, paired.
    """
    y = members.labels
    each_alone = [
        _whole(members, fused, [part.members[m] for part in fused]) for m in range(len(members.names))
    ]
    mixed = _whole(members, fused, [part.probabilities for part in fused])
    every = members.where(part="val" if members.has_validation else "test")
    best = strongest_first([p[every] for p in each_alone], y[every])[0]
    folds: list[dict[str, Any]] = []
    for part in fused:
        sides = {side: members.where(fold=part.fold, seed=part.seed, part=side) for side in ("val", "test")}
        val = sides["val"]
        own = strongest_first([p[val] for p in each_alone], y[val])[0] if val.any() else best
        scores = {
            side: {
                "fusion": _accuracy(mixed[rows], y[rows]),
                "best": _accuracy(each_alone[own][rows], y[rows]),
            }
            for side, rows in sides.items()
            if rows.any()
        }
        folds.append({"fold": part.fold, "seed": part.seed, "best": members.names[own], **scores})
    tested = [row["test"] for row in folds if "test" in row]
    paired = compare(
        clean(predicted),
        clean(members.runs[best].predictions),
        names=(predicted["system"][0], members.names[best]),
    )
    return {
        "weights": weights,
        "members": list(members.names),
        "best": members.names[best],
        "chosen_by": "validation" if members.has_validation else "test",
        "held": sum(row["fusion"] >= row["best"] for row in tested),
        "of": len(tested),
        "unanswered": _unanswered(members),
        "folds": folds,
        "comparison": paired.as_dict(),
    }


def _whole(members: Members, fused: Sequence[Fused], parts: Sequence[Floats]) -> Floats:
    """Put the probabilities of the folds together, shape (n, C) over all rows."""
    whole = np.full(members.logits[0].shape, np.nan)
    for each, p in zip(fused, parts, strict=True):
        whole[each.here] = p
    return whole


def _unanswered(members: Members) -> dict[str, int]:
    """Count by member the test clips without an answer, where there are some."""
    tested = members.rows["part"] == "test"
    silent = {
        name: tested & pl.Series(np.any(np.isnan(p), axis=1))
        for name, p in zip(members.names, members.probabilities, strict=True)
    }
    return {name: members.rows.filter(rows)["id"].n_unique() for name, rows in silent.items() if rows.any()}


def _accuracy(p: Floats, y: NDArray[np.int64]) -> float:
    """Share of right answers; a clip without one is an error."""
    silent: NDArray[np.bool_] = np.any(np.isnan(p), axis=1)
    return float(((np.where(silent[:, None], 0.0, p).argmax(axis=1) == y) & ~silent).mean())
