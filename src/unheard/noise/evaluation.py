"""How much a run loses in noise: its heads predict its own test clips under noise conditions (docs/noise.md).

Nothing is trained or chosen here. The head of a fold predicts that fold's test speakers alone, and no speaker of
its training babbles.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl

from unheard.corpora.table import corpus_of
from unheard.decide.calibration import apply_temperature
from unheard.errors import DataError
from unheard.files import write_json
from unheard.heads import Model
from unheard.noise.inference import CLEAN, Condition, NoiseTask, NoisyClip, noisy_clips
from unheard.noise.plan import FoldPlan, Recordings, crossed, lines, planned, voices_at_once
from unheard.noise.scores import scores
from unheard.predictions.table import classes, predictions, write_predictions
from unheard.recipe_inputs.preparing import Progress, Say, data_digest, of_layers
from unheard.recipes.recipe import Recipe
from unheard.report.noise import noise_page
from unheard.runs.content import understood
from unheard.runs.fitting import load_head
from unheard.runs.folder import Run, locked

#: What is written into the run folder.
PREDICTIONS, SCORES, PAGE = "noise.parquet", "noise.json", "noise.html"
#: Largest difference between a probability in the run and the one that its head gives the same clip now.
AGREE = 0.05
#: Of the run's own rows, what also holds under noise.
KEPT = (
    "system", "corpus", "protocol", "protocol_hash", "fold", "seed", "id", "speaker", "gender", "label",
    "target", "settings_hash", "data_hash",
)  # fmt: skip


def noisy(
    run: Run,
    kinds: Sequence[str] = ("white", "babble"),
    snrs: Sequence[float] = (20, 10, 5),
    *,
    seed: int = 0,
    others: pl.DataFrame | None = None,
    conditions: Sequence[str] = (),
    recordings: Recordings | None = None,
    weights: str | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
    say: Say | None = None,
) -> dict[str, Any]:
    """Predict a run's test clips under conditions; write ``noise.parquet``, ``.json`` and ``.html`` to its folder.

    Parameters
    ----------
    run
        A finished run on features of ours, on a frozen encoder or on a tuned one.
    kinds, snrs
        Kinds of noise (``white``, ``pink``, ``coloured``, ``babble``, ``recorded``), each at every ratio in dB.
    seed
        Seed of the noise. With a clip's id and the condition it decides everything random in it.
    others
        Utterances of another corpus, whose speakers babble. Where None, speakers of the run's own corpus babble
        whom the fold was not trained on.
    conditions
        Names of further conditions, such as ``room_0.6s`` and ``mp3_32kbps`` (docs/noise.md), or ``all``.
    recordings
        Files that the conditions ``recorded`` and ``impulse`` take.
    weights
        Where the encoder's weights are now; None means where the run found them.
    jobs
        Number of processes for features, or of threads that mix noise while an encoder runs. The result is the
        same.
    progress, say
        Functions that are called as ``progress("noise", done, total)`` after each clip of a fold, and with lines
        to show.

    Returns
    -------
    The content of ``noise.json`` (docs/noise.md); scores are fractions.

    Raises
    ------
    UsageError
        The run has no model, is leaky, or has features that were computed elsewhere; an unknown kind, or a
        level out of bounds; a fold in which nobody may babble.
    DataError
        The recordings are not those of the run, or a head predicts something else than it did in the run.
    MachineError
        The run folder is in use, the encoder cannot be loaded here, or this machine lacks a codec.
    """
    with understood([run.folder]):
        asked = crossed(kinds, snrs, conditions)
        recipe = run.recipe.with_weights_at(weights)
        folds = planned(run, asked, seed, others, recordings)
        if say is not None:
            for line in lines(folds, asked, " and ".join(own.name for own in recipe.inputs.values())):
                say(line)
        with locked(run.folder):
            if data_digest(run.table) != run.provenance["data_hash"]:
                raise DataError(
                    f"{run.folder}: the recordings are no longer those of the run; run it again first"
                )
            predicted, measures, agreement = _predict(run, recipe, folds, jobs, progress)
            table = _table(run, asked, predicted)
            found = scores(run, table, asked, measures)
            found["noise"] = {"seed": seed, "agreement": agreement, **_babble(folds, others, run)}
            write_predictions(table, run.folder / PREDICTIONS)
            write_json(run.folder / SCORES, found)
            noise_page(found, run.folder / PAGE)
    return found


def _predict(
    run: Run, recipe: Recipe, folds: Sequence[FoldPlan], jobs: int, progress: Progress | None
) -> tuple[pl.DataFrame, pl.DataFrame, float]:
    """Return predictions (by fold, seed, clip, condition), measures (by clip, condition) and the agreement.

    The agreement is the largest difference between the run's probabilities of a clean clip and today's.
    """
    numbered = {fold.number: fold for fold in folds}
    waiting = Counter({fold.number: len(fold.tasks) for fold in folds})
    total = waiting.total()
    heads: dict[int, list[Any]] = {}
    predicted: list[tuple[Any, ...]] = []
    measures: list[tuple[Any, ...]] = []
    agreement = 0.0
    for task, noisy in _noisy_clips(recipe, folds, jobs):
        fold = numbered[task.fold]
        if task.fold not in heads:
            heads[task.fold] = [load_head(run, recipe, record) for record in fold.records]
        for head, record in zip(heads[task.fold], fold.records, strict=True):
            rows = _predictions(head, record, task, noisy)
            if task.conditions[0][0] == CLEAN:
                agreement = max(agreement, _apart(run, task, [row for row in rows if row[3] == CLEAN.name]))
            predicted += rows
        for (condition, _), one in zip(task.conditions, noisy, strict=True):
            measures.append((condition.name, task.clip.id, one.snr, one.clipped))
        waiting[task.fold] -= 1
        if not waiting[task.fold]:
            del heads[task.fold]
        if progress is not None:
            progress("noise", total - waiting.total(), total)
    lists = dict.fromkeys(("logits", "probabilities"), pl.List(pl.Float64))
    keys = {"fold": pl.Int64, "seed": pl.Int64, "id": pl.String, "condition": pl.String}
    measured = {"condition": pl.String, "id": pl.String, "snr": pl.Float64, "clipped": pl.Int64}
    return (
        pl.DataFrame(predicted, schema={**keys, **lists}, orient="row"),
        pl.DataFrame(measures, schema=measured, orient="row"),
        agreement,
    )


def _noisy_clips(
    recipe: Recipe, folds: Sequence[FoldPlan], jobs: int
) -> Iterator[tuple[NoiseTask, list[NoisyClip]]]:
    """Yield the noisy clips of all folds; folds that chose the same layers of the encoders go together."""
    for layers in dict.fromkeys(tuple(fold.layers.items()) for fold in folds):
        tasks = [task for fold in folds if tuple(fold.layers.items()) == layers for task in fold.tasks]
        yield from noisy_clips(of_layers(recipe, dict(layers)), tasks, jobs=jobs)


def _predictions(
    head: Model, record: dict[str, Any], task: NoiseTask, noisy: Sequence[NoisyClip]
) -> list[tuple[Any, ...]]:
    """Predict one clip with one head, under all conditions in which its inputs could be computed."""
    able = [
        (condition.name, one.inputs)
        for (condition, _), one in zip(task.conditions, noisy, strict=True)
        if one.inputs is not None
    ]
    if not able:
        return []
    outputs = head.outputs({name: [inputs[name] for _, inputs in able] for name in able[0][1]})
    # Dimensions stand behind the class scores; noise is scored for classes.
    logits = outputs[:, : head.classes_]
    probabilities = apply_temperature(logits, record["temperature"])
    return [
        (task.fold, record["seed"], task.clip.id, name, z, p)
        for (name, _), z, p in zip(able, logits.tolist(), probabilities.tolist(), strict=True)
    ]


def _apart(run: Run, task: NoiseTask, rows: Sequence[tuple[Any, ...]]) -> float:
    """Return the largest difference of a prediction without noise from the run's own; refuse where it is large."""
    by = "there is no prediction"
    for fold, seed, clip, _, _, probabilities in rows:
        here = (pl.col("part") == "test") & (pl.col("fold") == fold) & (pl.col("seed") == seed)
        (before,) = run.predictions.filter(here & (pl.col("id") == clip))["probabilities"].to_list()
        apart = float(np.abs(np.subtract(before, probabilities)).max())
        if apart <= AGREE:
            return apart
        by = f"a probability differs by {apart:.3f}"
    raise DataError(
        f"{run.folder}: without any noise its models predict otherwise than in the run ({task.clip.id}: {by}); "
        "weights, packages or the machine have changed since: run it again first"
    )


def _table(run: Run, conditions: Sequence[Condition], predicted: pl.DataFrame) -> pl.DataFrame:
    """Return the prediction table: a row for each test row of the run and each condition."""
    test = run.predictions.filter(pl.col("part") == "test").select(KEPT)
    every = test.join(pl.DataFrame({"condition": [c.name for c in conditions]}), how="cross")
    return predictions(
        every.join(predicted, on=["fold", "seed", "id", "condition"], how="left"), classes(run.predictions)
    )


def _babble(folds: Sequence[FoldPlan], others: pl.DataFrame | None, run: Run) -> dict[str, Any]:
    """Say who babbles: how many at a time, and of whom in each fold; nothing where nobody does."""
    fewest, most = voices_at_once(folds)
    if not most:
        return {}
    return {
        "babble": {
            "corpus": corpus_of(run.table if others is None else others),
            "voices": {"min": fewest, "max": most},
            "folds": [{"fold": fold.number, "speakers": sorted(fold.pool)} for fold in folds],
        }
    }
