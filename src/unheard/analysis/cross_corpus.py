"""How far a recipe carries to corpora from which it learned nothing: one row for each that a run left out.

Shared classes are those that the corpus left out has, all of which the models know. The headline chooses among
these alone: probabilities of the other classes are set to 0, and the rest scaled to sum to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from unheard.auditing.swapped_labels import check_swapped_labels
from unheard.errors import UsageError
from unheard.metrics import estimators
from unheard.predictions.table import classes, read_predictions
from unheard.protocols.fold_assignment import LEAVE_CORPUS
from unheard.runs.enrolment_scores import enrolment_scores
from unheard.runs.folder import ENROLMENT, Run

METRICS = ("uar", "accuracy", "ece")


def cross_corpus(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return one mapping for each fold of runs on ``leave-corpus``, sorted by what was tested and what taught.

    Parameters
    ----------
    runs
        Of joined tables. A run of two corpora trains on each and tests on the other; one of three or more leaves
        each out once.

    Returns
    -------
    ``recipe``, ``taught`` (corpora), ``tested`` (corpus), ``n_clips``, ``n_speakers``, ``classes`` (shared ones),
    ``among`` and ``answered``: estimates of ``uar``, ``accuracy`` and ``ece`` (fractions) among the shared classes
    and among all; ``enrolment``: scores by how many clips of a speaker are known, among the shared classes, as of
    :func:`unheard.runs.enrolment_scores.enrolment_scores`, of heads that adapt to speakers; ``findings``: pairs of
    classes whose labels may be swapped (``LABELS_SWAPPED``).

    Raises
    ------
    UsageError
        A run has other folds.
    """
    found = []
    for run in runs:
        if run.protocol.name != LEAVE_CORPUS:
            raise UsageError(
                f"{run.folder} is a run on {run.protocol.name}; take runs of joined tables on {LEAVE_CORPUS}"
            )
        corpus = dict(zip(run.table["id"], run.table["corpus"], strict=True))
        knowing = _knowing(run)
        test = run.predictions.filter(pl.col("part") == "test")
        for number, fold in enumerate(run.protocol.folds):
            of_fold = pl.col("fold") == number
            rows = test.filter(of_fold)
            if rows.is_empty():
                continue
            first = rows.filter(pl.col("seed") == rows["seed"].min())
            narrowed = among_its_classes(rows)
            known = among_its_classes(knowing.filter(of_fold)) if knowing is not None else None
            answered, among = (estimators.estimate(each) for each in (rows, narrowed))
            found.append(
                {
                    "recipe": run.scores["recipe"],
                    "taught": sorted({corpus[i] for i in (*fold.train, *fold.val)}),
                    "tested": corpus[fold.test[0]],
                    "n_clips": rows["id"].n_unique(),
                    "n_speakers": rows["speaker"].drop_nulls().n_unique(),
                    "classes": _there(rows),
                    "among": {name: among[name] for name in METRICS},
                    "answered": {name: answered[name] for name in METRICS},
                    "findings": [one.as_dict() for one in check_swapped_labels(first)],
                    "enrolment": [] if known is None else enrolment_scores(pl.concat([narrowed, known])),
                }
            )
    return sorted(found, key=lambda row: (row["tested"], row["taught"], row["recipe"]))


def among_its_classes(rows: pl.DataFrame) -> pl.DataFrame:
    """Return prediction rows whose probabilities lie on the classes of their labels alone, scaled to sum to 1."""
    return among(rows, _there(rows))


def among(rows: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Return prediction rows whose probabilities lie on some classes alone, scaled to sum to 1."""
    kept = [float(name in names) for name in classes(rows)]
    given = [_among(one, kept) for one in rows["probabilities"].to_list()]
    return rows.with_columns(pl.Series("probabilities", given, dtype=rows.schema["probabilities"]))


def _there(rows: pl.DataFrame) -> list[str]:
    """Return the classes that some row is labelled with, in the order of classes."""
    labelled = set(rows["label"].drop_nulls().cast(pl.String))
    return [name for name in classes(rows) if name in labelled]


def _among(given: list[float] | None, kept: list[float]) -> list[float] | None:
    if given is None:
        return None
    left = [value * one for value, one in zip(given, kept, strict=True)]
    return [value / sum(left) for value in left]


def _knowing(run: Run) -> pl.DataFrame | None:
    """Return the predictions that know clips of their speaker; None of a run whose head does not adapt."""
    if not (run.folder / ENROLMENT).is_file():
        return None
    return read_predictions(run.path(ENROLMENT))
