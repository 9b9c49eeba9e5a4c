"""How much a run loses in noise: its heads answer for its own test clips, heard under conditions (docs/noise.md).

Nothing is trained or chosen here. The head of a fold answers for that fold's test speakers alone, and nobody
babbles whom it has heard in training.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from unheard.audio.conditions import VOICES
from unheard.decide.calibration import apply_temperature
from unheard.errors import DataError, UsageError, first_five, unknown
from unheard.experiment.fitting import load_head
from unheard.experiment.folder import Run, locked
from unheard.experiment.hearing import CLEAN, KINDS, Condition, Heard, Listening, generator, listen
from unheard.experiment.noise_scores import scores
from unheard.experiment.preparing import Progress, Say, data_digest, of_layer
from unheard.experiment.recipe import Recipe
from unheard.features.extract import ClipRef
from unheard.files import write_json
from unheard.predictions.table import classes, predictions, write_predictions

#: What is written into the run folder.
PREDICTIONS, SCORES = "noise.parquet", "noise.json"
#: Least and greatest ratio that can be asked for, dB.
RATIOS = (-20.0, 60.0)
#: Largest difference between a probability in the run and the one that its head gives the same clip now.
AGREE = 0.05
#: Of the run's own rows, what also holds under noise.
KEPT = (
    "system", "corpus", "protocol", "protocol_hash", "fold", "seed", "id", "speaker", "gender", "label",
    "target", "settings_hash", "data_hash",
)  # fmt: skip

Pool = Mapping[str, Sequence[ClipRef]]


@dataclass(frozen=True)
class _Fold:
    """What one fold is to hear: its ``records`` are of its seeds, ``pool`` of those who may babble."""

    number: int
    recipe: Recipe
    records: list[dict[str, Any]]
    tasks: list[Listening]
    pool: Pool


@dataclass
class _Found:
    """What came of it: answers a clip, condition and seed, and measures a clip and condition."""

    answers: list[dict[str, Any]] = field(default_factory=list)
    measures: list[dict[str, Any]] = field(default_factory=list)


def noisy(
    run: Run,
    kinds: Sequence[str] = KINDS,
    snrs: Sequence[float] = (20, 10, 5),
    *,
    seed: int = 0,
    jobs: int = 1,
    progress: Progress | None = None,
    say: Say | None = None,
) -> dict[str, Any]:
    """Answer for every test clip of a run under noise; write ``noise.parquet`` and ``noise.json`` beside it.

    Parameters
    ----------
    run
        A finished run on features of ours or on a frozen encoder.
    kinds, snrs
        Kinds of noise (``white``, ``babble``), each at every ratio in dB.
    seed
        Of the noise. With a clip's id and the condition it decides all chance in it.
    jobs
        Processes for features, threads that mix beside an encoder; they change the time, not the result.
    progress, say
        Called as ``progress("noise", done, total)`` after each clip of a fold, and with lines to show.

    Returns
    -------
    The content of ``noise.json`` (docs/noise.md); scores are fractions.

    Raises
    ------
    UsageError
        The run has no model, tuned its encoder, or has features that were computed elsewhere; an unknown kind, or
        a ratio out of bounds; a fold in which nobody may babble.
    DataError
        The recordings are not those of the run, or a head answers otherwise than it did in the run.
    MachineError
        The run folder is in use, or the encoder cannot be loaded here.
    """
    conditions = _conditions(kinds, snrs)
    recipe = _recipe(run)
    with locked(run.folder):
        folds = [_fold(run, recipe, number, conditions, seed) for number in _numbers(run)]
        if data_digest(run.table) != run.provenance["data_hash"]:
            raise DataError(
                f"{run.folder}: the recordings are no longer those that the run heard; run it again"
            )
        total = sum(len(fold.tasks) for fold in folds)
        if say is not None:
            say(_plan(run, conditions, folds, total))
        found = _Found()
        done = 0
        for fold in folds:
            heads = [load_head(run.folder, recipe, fold.number, record["seed"]) for record in fold.records]
            for task, heard in listen(fold.recipe, fold.tasks, jobs=jobs):
                _answer(found, fold, heads, task, heard)
                done += 1
                if progress is not None:
                    progress("noise", done, total)
        agreement = _agreement(run, found)
        table = _table(run, conditions, found)
        result = scores(run, table, conditions, pl.DataFrame(found.measures))
        result["noise"] = {
            "seed": seed,
            "kinds": list(kinds),
            "snrs": list(snrs),
            "agreement": agreement,
            "babble": [
                {"fold": fold.number, "speakers": sorted(fold.pool)} for fold in folds if "babble" in kinds
            ],
        }
        write_predictions(table, run.folder / PREDICTIONS)
        write_json(run.folder / SCORES, result)
    return result


# --- what is to be heard ---------------------------------------------------------------------------------------


def _conditions(kinds: Sequence[str], snrs: Sequence[float]) -> list[Condition]:
    for kind in kinds:
        if kind not in KINDS:
            raise unknown("kind of noise", kind, KINDS)
    low, high = RATIOS
    odd = [snr for snr in snrs if not (math.isfinite(snr) and low <= snr <= high)]
    if odd:
        raise UsageError(f"snr: expected {low:g} to {high:g} dB, found {first_five(odd)}")
    found = [Condition(kind, snr) for kind in kinds for snr in snrs]
    if not found or len(set(found)) < len(found):
        raise UsageError(
            f"expected different kinds of noise and different ratios, at least one of each; found kinds "
            f"{', '.join(kinds) or 'none'} at {', '.join(f'{snr:g}' for snr in snrs) or 'none'} dB"
        )
    return found


def _recipe(run: Run) -> Recipe:
    """Return the run's recipe, or refuse one whose recordings cannot be heard anew."""
    recipe = run.recipe
    if recipe.training is not None:
        raise UsageError(
            f"{run.folder} tuned its encoder together with the head; noise is measured for heads on features "
            "and frozen encoders"
        )
    if recipe.features is not None and recipe.features["name"] == "precomputed":
        raise UsageError(
            f"{run.folder} learned from features that were computed elsewhere, which cannot be computed from "
            "noisy recordings here; score noisy predictions of that system with `unheard score`"
        )
    if not run.folds():
        raise UsageError(f"{run.folder} has no fold with a model; finish it with --resume")
    return recipe


def _numbers(run: Run) -> list[int]:
    """Folds of which there are predictions."""
    return sorted(run.predictions["fold"].unique())


def _fold(run: Run, recipe: Recipe, number: int, conditions: Sequence[Condition], seed: int) -> _Fold:
    seeds = run.predictions.filter(pl.col("fold") == number)["seed"].unique()
    records = [r for r in run.folds() if r["fold"] == number and r["seed"] in set(seeds)]
    layer = records[0]["chosen"].get("layer")
    pool = _pool(run, recipe, number)
    heard = run.predictions.filter(
        (pl.col("fold") == number) & (pl.col("part") == "test") & pl.col("logits").is_not_null()
    )
    tested = run.table.filter(pl.col("id").is_in(heard["id"].unique().to_list())).sort("id")
    tasks = []
    for place, (speaker, *clip) in enumerate(
        tested.select("speaker", "id", "path", "start", "end").iter_rows()
    ):
        # One clip a fold is also heard as it is, which says whether the head still answers as it did.
        under = [CLEAN, *conditions] if place == 0 else conditions
        task = ClipRef(*clip)
        tasks.append(
            Listening(task, tuple((c, _voices(c, task.id, speaker, number, pool, seed)) for c in under), seed)
        )
    return _Fold(number, recipe if layer is None else of_layer(recipe, layer), records, tasks, pool)


def _pool(run: Run, recipe: Recipe, number: int) -> Pool:
    """Clips by speaker, of those whom the fold has not heard in training; only what the run could read."""
    sides = run.protocol.folds[number]
    taught = (*sides.train, *sides.val) if recipe.refit == "val" else sides.train
    trained = run.table.filter(pl.col("id").is_in(list(taught)))["speaker"].drop_nulls().unique()
    readable = run.predictions.filter(pl.col("logits").is_not_null())["id"].unique()
    free = run.table.filter(
        pl.col("speaker").is_not_null()
        & ~pl.col("speaker").is_in(trained.to_list())
        & pl.col("id").is_in(readable.to_list())
    ).sort("speaker", "id")
    pool: dict[str, list[ClipRef]] = {}
    for speaker, *clip in free.select("speaker", "id", "path", "start", "end").iter_rows():
        pool.setdefault(speaker, []).append(ClipRef(*clip))
    return pool


def _voices(
    condition: Condition, clip: str, speaker: str | None, number: int, pool: Pool, seed: int
) -> tuple[ClipRef, ...]:
    """Draw who babbles, and with which clip of theirs."""
    if condition.kind != "babble":
        return ()
    others = [name for name in sorted(pool) if name != speaker]
    if not others:
        raise UsageError(
            f"fold {number}: nobody may babble over {clip}: every other speaker of the corpus was heard in "
            "training; ask for --kinds white, or run a protocol that tests several speakers a fold"
        )
    rng = generator(seed, condition, clip, "voices")
    drawn = rng.choice(len(others), min(VOICES, len(others)), replace=False)
    return tuple(pool[others[k]][int(rng.integers(len(pool[others[k]])))] for k in drawn)


def _plan(run: Run, conditions: Sequence[Condition], folds: Sequence[_Fold], total: int) -> str:
    seeds = len({record["seed"] for fold in folds for record in fold.records})
    front = folds[0].recipe.encoder or folds[0].recipe.features or {}
    times = f"{total * len(conditions):,} times through {front['name']}"
    lines = [
        f"conditions: {', '.join(condition.name for condition in conditions)}",
        f"clips:      {total:,} test clips of {len(folds)} folds, {times}",
        f"heads:      those of {seeds} {'seed' if seeds == 1 else 'seeds'}, as the run left them",
    ]
    if any(condition.kind == "babble" for condition in conditions):
        counts = sorted(len(fold.pool) for fold in folds)
        many = f"{counts[0]}" if counts[0] == counts[-1] else f"{counts[0]} to {counts[-1]}"
        lines.append(
            f"babble:     up to {VOICES} at a time, of {many} speakers a fold whom it has not heard in training"
        )
    return "\n".join([*lines, f"written:    {run.folder / PREDICTIONS}, {run.folder / SCORES}"])


# --- what is answered ------------------------------------------------------------------------------------------


def _answer(
    found: _Found, fold: _Fold, heads: Sequence[Any], task: Listening, heard: Sequence[Heard]
) -> None:
    """Let every head of a fold answer for one clip under its conditions."""
    names = [condition.name for condition, _ in task.heard]
    answered = [place for place, one in enumerate(heard) if one.features is not None]
    for head, record in zip(heads, fold.records, strict=True):
        logits = head.logits([heard[place].features for place in answered]) if answered else np.empty((0, 0))
        probabilities = apply_temperature(logits, record["temperature"]) if answered else logits
        for place, z, p in zip(answered, logits.tolist(), probabilities.tolist(), strict=True):
            key = {
                "fold": fold.number,
                "seed": record["seed"],
                "id": task.clip.id,
                "condition": names[place],
            }
            found.answers.append({**key, "logits": z, "probabilities": p})
    found.measures += [
        {"condition": name, "id": task.clip.id, "snr": one.snr, "clipped": one.clipped}
        for name, one in zip(names, heard, strict=True)
        if name != CLEAN.name
    ]


def _agreement(run: Run, found: _Found) -> float:
    """Largest difference between probabilities of the run and those that its heads give clean clips now."""
    ours = {(r["fold"], r["seed"], r["id"]): r for r in found.answers if r["condition"] == CLEAN.name}
    test = run.predictions.filter((pl.col("part") == "test") & pl.col("id").is_in([i for _, _, i in ours]))
    largest = 0.0
    for row in test.iter_rows(named=True):
        again = ours.get((row["fold"], row["seed"], row["id"]))
        if again is not None:
            apart = np.abs(np.subtract(row["probabilities"], again["probabilities"])).max()
            largest = max(largest, float(apart))
    if not ours or largest > AGREE:
        raise DataError(
            f"{run.folder}: without any noise its heads answer otherwise than they did in the run (a probability "
            f"differs by {largest:.3f}); were weights, packages or the machine changed since? Run it again"
        )
    return largest


def _table(run: Run, conditions: Sequence[Condition], found: _Found) -> pl.DataFrame:
    """Return the prediction table: a row for each test row of the run and each condition."""
    keys = ["fold", "seed", "id", "condition"]
    schema = {"fold": pl.Int64, "seed": pl.Int64, "id": pl.String, "condition": pl.String}
    lists = dict.fromkeys(("logits", "probabilities"), pl.List(pl.Float64))
    answers = pl.DataFrame(found.answers, schema={**schema, **lists})
    test = run.predictions.filter(pl.col("part") == "test").select(KEPT)
    every = test.join(pl.DataFrame({"condition": [c.name for c in conditions]}), how="cross")
    return predictions(every.join(answers, on=keys, how="left"), classes(run.predictions))
