"""What a late fusion is worth where some of its systems are in noise and others are not, by how it weighs them.

Runs that were predicted in noise (``unheard noise``) are fused, condition by condition, with the clean predictions
of the others: with weights and temperatures that were fitted without noise; and with some for each ratio, fitted
on test rows of the other folds' speakers in the same noise. The ratio is that at which the noise was added: it is
known, and not measured on the recording.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unheard.comparison.compare import compare
from unheard.decide.late_fusion import Fusion, fit_fusion, fuse
from unheard.errors import UsageError
from unheard.fusion.aligned_runs import FACTS, KEYS, AlignedRuns, Floats, align
from unheard.metrics import estimators
from unheard.metrics.formatting import difference, percent
from unheard.noise.evaluation import PREDICTIONS
from unheard.predictions.table import classes, predictions, read_predictions, softmax
from unheard.runs.folder import Run

#: Where weights and temperatures come from, as results name it.
FIXED, BY_RATIO = "fitted without noise", "fitted by ratio"
METRICS = ("accuracy", "uar")
#: What the results are kept in, in the folder of the fusion.
IN_NOISE = "noise-fusion.json"
Mask = NDArray[np.bool_]
#: Fold and seed.
Slot = tuple[int, int]


def fused_in_noise(runs: Sequence[Run]) -> dict[str, Any]:
    """Fuse runs under each condition that some of them were predicted in.

    Parameters
    ----------
    runs
        Two or more of one protocol, with validation rows; at least one with predictions in noise.

    Returns
    -------
    ``noisy``, the names of the runs in noise, and ``conditions``, a list: ``condition``; ``systems``, accuracy and
    UAR of each run and of both fusions (fractions, with intervals over speakers); ``weights`` and
    ``temperatures``, means of each run in both; ``best``, the best single system, which is found on the same rows
    and so favoured; ``gain``, fitted by ratio minus fitted without noise, ``over_best`` and ``fixed_over_best``,
    each fusion minus the best single system: in accuracy, paired over speakers.

    Raises
    ------
    UsageError
        No run has predictions in noise, or they were under other conditions; a run has no validation rows;
        what :func:`~unheard.fusion.aligned_runs.align` refuses.
    """
    aligned = align(runs)
    if not aligned.has_validation:
        raise UsageError("fixed weights are fitted on validation rows, and not every run has some")
    tables = {
        name: read_predictions(run.folder / PREDICTIONS)
        for name, run in zip(aligned.names, aligned.runs, strict=True)
        if (run.folder / PREDICTIONS).is_file()
    }
    if not tables:
        raise UsageError("no run was predicted in noise: `unheard noise RUN` does it")
    listed = [tuple(sorted(table["condition"].unique(), key=_mildest_first)) for table in tables.values()]
    if len(set(listed)) > 1:
        raise UsageError(
            "the runs were predicted under different conditions of noise: ask for the same of all"
        )
    slots = sorted(set(aligned.rows.select("fold", "seed").iter_rows()))
    validation = {(fold, seed): aligned.where(fold=fold, seed=seed, part="val") for fold, seed in slots}
    others = {(fold, seed): _of_other_speakers(aligned, fold, seed) for fold, seed in slots}
    fixed = _fitted(aligned, aligned.logits, validation)
    found = []
    for condition in ("clean", *listed[0]):
        own = tuple(
            z if condition == "clean" or name not in tables else _in_noise(aligned, tables[name], condition)
            for name, z in zip(aligned.names, aligned.logits, strict=True)
        )
        found.append(_scored(aligned, own, condition, fixed, _fitted(aligned, own, others)))
    return {"noisy": sorted(tables), "conditions": found}


def _mildest_first(condition: str) -> tuple[str, float]:
    """Return what conditions such as ``white_10dB`` are sorted by: the kind, then the ratio, the highest first."""
    kind, _, ratio = condition.removesuffix("dB").rpartition("_")
    try:
        return kind, -float(ratio)
    except ValueError:
        return condition, 0.0


def noisy_lines(found: Mapping[str, Any]) -> list[str]:
    """Return the result as a table in Markdown, a line a condition: accuracy in percent, differences in points."""
    names = list(found["conditions"][0]["systems"])
    gain, best = f"{BY_RATIO} - {FIXED}", f"{FIXED} - best alone"
    lines = [
        "",
        "| condition | " + " | ".join(names) + f" | {gain} | {best} |",
        "|---" * (len(names) + 3) + "|",
    ]
    for one in found["conditions"]:
        cells = [percent(one["systems"][name]["accuracy"]["pooled"]) for name in names]
        apart = [
            difference(one[key]["value"], one[key]["low"], one[key]["high"])
            for key in ("gain", "fixed_over_best")
        ]
        lines.append("| " + " | ".join([one["condition"], *cells, *apart]) + " |")
    return lines


def _fitted(aligned: AlignedRuns, own: Sequence[Floats], rows: Mapping[Slot, Mask]) -> dict[Slot, Fusion]:
    """Return weights and temperatures for each fold and seed, fitted on some rows."""
    labels = aligned.labels
    return {slot: fit_fusion([z[some] for z in own], labels[some]) for slot, some in rows.items()}


def _of_other_speakers(aligned: AlignedRuns, fold: int, seed: int) -> Mask:
    """Return the test rows of the other folds without the test speakers of this one, (n,)."""
    tested = aligned.rows.filter((pl.col("fold") == fold) & (pl.col("part") == "test"))["speaker"].unique()
    apart = (pl.col("fold") != fold) & ~pl.col("speaker").is_in(tested.to_list())
    others: Mask = aligned.rows.select(apart.fill_null(value=False)).to_series().to_numpy()
    return aligned.where(seed=seed, part="test") & others


def _in_noise(aligned: AlignedRuns, table: pl.DataFrame, condition: str) -> Floats:
    """Return the logits of one run under a condition, in the order of the rows; NaN but in its test rows."""
    wanted = table.filter(pl.col("condition") == condition).select("fold", "seed", "id", "logits")
    test = (pl.col("part") == "test") & (pl.col("condition") == "clean")
    rows = aligned.rows.with_columns(here=test).join(
        wanted.with_columns(here=pl.lit(value=True)),
        on=["fold", "seed", "id", "here"], how="left", maintain_order="left",
    )  # fmt: skip
    empty = [float("nan")] * len(classes(aligned.rows))
    filled = rows.with_columns(
        pl.when(pl.col("logits").is_null()).then(pl.lit(empty)).otherwise(pl.col("logits")).alias("logits")
    )
    return np.stack(filled["logits"].to_list()).astype(np.float64)


def _scored(
    aligned: AlignedRuns,
    own: Sequence[Floats],
    condition: str,
    fixed: Mapping[Slot, Fusion],
    by_ratio: Mapping[Slot, Fusion],
) -> dict[str, Any]:
    """Return the record of one condition, in which the systems gave these logits."""
    test = aligned.where(part="test")
    answers: dict[str, Floats] = {name: softmax(z) for name, z in zip(aligned.names, own, strict=True)}
    ways = {FIXED: fixed, BY_RATIO: by_ratio}
    for name, fitted in ways.items():
        answers[name] = np.full_like(own[0], np.nan)
        for (fold, seed), fusion in fitted.items():
            here = aligned.where(fold=fold, seed=seed, part="test")
            answers[name][here] = fuse([z[here] for z in own], fusion)
    tables = {name: _table(aligned, p, test) for name, p in answers.items()}
    scores = {name: estimators.estimate(table) for name, table in tables.items()}
    best = max(aligned.names, key=lambda name: float(scores[name]["accuracy"]["pooled"] or 0))
    return {
        "condition": condition,
        "systems": {name: {metric: score[metric] for metric in METRICS} for name, score in scores.items()},
        "weights": {name: _means(aligned, fitted, "weights") for name, fitted in ways.items()},
        "temperatures": {name: _means(aligned, fitted, "temperatures") for name, fitted in ways.items()},
        "best": best,
        "gain": _difference(tables, BY_RATIO, FIXED),
        "over_best": _difference(tables, BY_RATIO, best),
        "fixed_over_best": _difference(tables, FIXED, best),
    }


def _table(aligned: AlignedRuns, probabilities: Floats, test: Mask) -> pl.DataFrame:
    listed = [None if np.isnan(p).any() else p.tolist() for p in probabilities[test]]
    rows = aligned.rows.filter(pl.Series(test)).select(*KEYS, *FACTS)
    return predictions(
        rows.with_columns(
            pl.Series("probabilities", listed, dtype=pl.List(pl.Float64)), system=pl.lit("fusion")
        ),
        classes(aligned.rows),
    )


def _difference(tables: dict[str, pl.DataFrame], a: str, b: str) -> dict[str, float | None]:
    found = compare(tables[a], tables[b], names=(a, b))
    return {"value": found.difference, "low": found.low, "high": found.high}


def _means(aligned: AlignedRuns, fitted: Mapping[Slot, Fusion], what: str) -> dict[str, float]:
    """Return the weight or the temperature of each run, the mean over folds and seeds."""
    means = np.mean([getattr(fusion, what) for fusion in fitted.values()], axis=0)
    return {name: round(float(mean), 4) for name, mean in zip(aligned.names, means, strict=True)}
