"""The leakage gap between two runs of one recipe, whichever comes first."""

from __future__ import annotations

from statistics import fmean

from unheard.comparison.compare import Comparison, leakage_gap
from unheard.errors import UsageError
from unheard.runs.content import understood
from unheard.runs.folder import Run


def premium(a: Run, b: Run) -> Comparison:
    """Return what the leaky run of a recipe scores above the speaker-independent one.

    Raises
    ------
    UsageError
        Not exactly one of the two is stamped ``LEAKY``, or they are not the same recipe.
    """
    with understood([a.folder, b.folder]):
        return _premium(a, b)


def training_clips(run: Run) -> float | None:
    """Return the mean number of clips that the model of a fold was trained on; None where the run does not say."""
    counts = [record.get("n_train_clips") for record in run.folds()]
    known = [count for count in counts if isinstance(count, int) and count > 0]
    return fmean(known) if known else None


def _premium(a: Run, b: Run) -> Comparison:
    leaky = [run for run in (a, b) if "LEAKY" in run.scores["stamps"]]
    fair = [run for run in (a, b) if run not in leaky]
    if len(leaky) != 1 or "UNVERIFIED" in fair[0].scores["stamps"]:
        stamps = " and ".join(
            f"{run.folder}: {', '.join(run.scores['stamps']) or 'no stamp'}" for run in (a, b)
        )
        raise UsageError(f"a leakage gap needs one leaky and one speaker-independent run; found {stamps}")
    if a.scores["settings_hash"] is None or a.scores["settings_hash"] != b.scores["settings_hash"]:
        raise UsageError(f"{a.folder} and {b.folder} differ in more than their folds (settings hash)")
    return leakage_gap(leaky[0].predictions, fair[0].predictions)
