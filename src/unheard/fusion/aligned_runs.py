"""The runs of a fusion, brought to the same rows: what each of them predicted for each clip, fold and seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unheard.errors import DataError, UsageError, first_five
from unheard.predictions.table import classes, logits, probabilities, truth
from unheard.runs.folder import Run

Floats = NDArray[np.float64]

#: What makes a row of the fusion, and what the runs must agree on about it.
KEYS = ("fold", "seed", "part", "condition", "enrol_k", "enrol_kind", "draw", "id")
FACTS = ("speaker", "gender", "label", "corpus", "protocol", "protocol_hash")
#: Probabilities below this are clipped in the logarithm.
TINY = 1e-12


@dataclass(frozen=True)
class AlignedRuns:
    """What several runs predicted, n rows each, in the order of their names.

    Parameters
    ----------
    names
        Names of the runs: their recipes, with the folder where these are the same.
    runs
        The runs.
    rows
        One row a clip, fold, seed, part and condition that some run predicted: :data:`KEYS` and :data:`FACTS`.
        Validation rows only where every run has some.
    logits
        Shape (n, C) a run; the logarithm of the probabilities where a run has no logits, NaN without a prediction.
    probabilities
        Shape (n, C) a run, as stored in it; NaN without a prediction.
    """

    names: tuple[str, ...]
    runs: tuple[Run, ...]
    rows: pl.DataFrame
    logits: tuple[Floats, ...]
    probabilities: tuple[Floats, ...]

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class numbers of the truth, shape (n,); -1 without a label."""
        return truth(self.rows)

    def where(self, **values: Any) -> NDArray[np.bool_]:
        """Return the labelled rows, clean and without enrolment, with these values of :data:`KEYS`; shape (n,)."""
        wanted = {"condition": "clean", "enrol_k": 0, "enrol_kind": "none", **values}
        chosen = pl.col("label").is_not_null()
        for column, value in wanted.items():
            chosen = chosen & (pl.col(column) == value)
        return self.rows.select(chosen).to_series().to_numpy()

    @property
    def has_validation(self) -> bool:
        """Whether every run has validation rows."""
        return bool((self.rows["part"] == "val").any())


def align(runs: Sequence[Run], say: Callable[[str], None] | None = None) -> AlignedRuns:
    """Bring runs to the same rows.

    A run with one seed is repeated for each seed of the others. A clip that one run did not predict
    stays, without a prediction of that run.

    Raises
    ------
    UsageError
        Fewer than two runs, one of them twice, or runs that differ in protocol, labels, seeds, folds, conditions
        or in what they were refitted on.
    DataError
        Runs that say different things of a clip.
    """
    if len(runs) < 2:
        raise UsageError(f"a fusion needs at least two runs, found {len(runs)}")
    places = [str(run.folder.resolve()) for run in runs]
    if len(set(places)) < len(places):
        raise UsageError(f"the same run is named twice: {max(places, key=places.count)}")
    ordered = sorted(zip(_names(runs), runs, strict=True), key=lambda pair: pair[0])
    names, runs = tuple(name for name, _ in ordered), tuple(run for _, run in ordered)
    _check(names, runs)
    tables = _same_seeds(names, [run.predictions for run in runs], say)
    if not all((table["part"] == "val").any() for table in tables):
        tables = [table.filter(pl.col("part") == "test") for table in tables]
    _check_folds(names, tables)
    rows = pl.concat(table.select(*KEYS, *FACTS) for table in tables).unique().sort(KEYS)
    torn = rows.filter(pl.struct(KEYS).is_duplicated())["id"].unique().sort()
    if len(torn):
        raise DataError(
            f"the runs say different things ({', '.join(FACTS[:3])}) of a clip: {first_five(torn)}"
        )
    tables = [
        rows.join(table.select(*KEYS, "logits", "probabilities"), on=KEYS, how="left", maintain_order="left")
        for table in tables
    ]
    return AlignedRuns(
        names, runs, rows, tuple(_logits(table) for table in tables), tuple(map(probabilities, tables))
    )


def _names(runs: Sequence[Run]) -> list[str]:
    """Return the shortest names that differ: recipe, recipe and folder."""
    recipes = [str(run.scores["recipe"]) for run in runs]
    named = [f"{recipe} ({run.folder.name})" for recipe, run in zip(recipes, runs, strict=True)]
    whole = [f"{recipe} ({run.folder})" for recipe, run in zip(recipes, runs, strict=True)]
    return next(names for names in (recipes, named, whole) if len(set(names)) == len(names) or names is whole)


def _check(names: Sequence[str], runs: Sequence[Run]) -> None:
    """Refuse runs that are not of one protocol, class order and kind of training."""
    for (a, first), (b, second) in pairwise(zip(names, runs, strict=True)):
        one, other = first.scores, second.scores
        if one["protocol_hash"] != other["protocol_hash"]:
            raise UsageError(
                f"{a} and {b} are not of one protocol ({one['protocol']} {one['protocol_hash'][:12]}, "
                f"{other['protocol']} {other['protocol_hash'][:12]}): fuse runs of the same folds"
            )
        if classes(first.predictions) != classes(second.predictions):
            raise UsageError(
                f"{a} and {b} have other labels: {', '.join(classes(first.predictions))} against "
                f"{', '.join(classes(second.predictions))}"
            )
        if {one["refit"], other["refit"]} == {"none", "val"}:
            raise UsageError(
                f"one of {a} and {b} was refitted on validation speakers and the other was not: two tasks; run "
                f"both with refit=val, or both without"
            )


def _same_seeds(
    names: Sequence[str], tables: Sequence[pl.DataFrame], say: Callable[[str], None] | None
) -> list[pl.DataFrame]:
    """Give every table the same seeds: one alone is repeated for each of the others'."""
    seeds = [tuple(sorted(table["seed"].unique())) for table in tables]
    several = sorted({each for each in seeds if len(each) > 1})
    if len(several) > 1:
        listed = "; ".join(
            f"{name}: {', '.join(map(str, each))}" for name, each in zip(names, seeds, strict=True)
        )
        raise UsageError(f"the runs have different seeds ({listed}); fuse runs of the same seeds, or of one")
    wanted = several[0] if several else min(seeds)
    every_seed = pl.DataFrame({"seed": list(wanted)}, schema={"seed": pl.Int64})
    found = []
    for name, table, own in zip(names, tables, seeds, strict=True):
        if own == wanted:
            found.append(table)
            continue
        if say is not None:
            say(
                f"{name} has the seed {own[0]} alone: it is repeated for each of {', '.join(map(str, wanted))}"
            )
        found.append(table.drop("seed").join(every_seed, how="cross").select(table.columns))
    return found


def _check_folds(names: Sequence[str], tables: Sequence[pl.DataFrame]) -> None:
    """Refuse runs of which one predicted a fold, part or condition and another did not."""
    columns = ("part", "fold", "condition", "enrol_k")
    slots = [set(table.select(columns).unique().iter_rows()) for table in tables]
    for name, own in zip(names, slots, strict=True):
        missing = sorted(set.union(*slots) - own)
        if missing:
            said = (
                f"{part} of fold {fold} ({condition}" + (f", {k} clips known)" if k else ")")
                for part, fold, condition, k in missing
            )
            raise UsageError(f"{name} lacks what another run has: {first_five(said)}")


def _logits(table: pl.DataFrame) -> Floats:
    """Return the logits, or where there are none the logarithm of the probabilities, whose softmax they are."""
    z = logits(table)
    return np.where(np.isnan(z), np.log(np.maximum(probabilities(table), TINY)), z)
