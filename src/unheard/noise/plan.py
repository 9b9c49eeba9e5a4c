"""The plan of an evaluation in noise: which clips, which conditions, and who babbles over each (docs/noise.md)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from unheard.audio.conditions import RATIOS, VOICES
from unheard.audio.noise import KINDS
from unheard.corpora.table import clips, corpus_of
from unheard.errors import UsageError, first_five, unknown
from unheard.inputs import Clip
from unheard.noise.inference import CLEAN, Condition, NoiseTask, generator
from unheard.runs.folder import Run
from unheard.runs.salient_layer import chosen_layers

#: Clips of those who may babble, by speaker.
Pool = Mapping[str, Sequence[Clip]]


@dataclass(frozen=True)
class FoldPlan:
    """What one fold predicts.

    Attributes
    ----------
    number : number of the fold.
    layers : layer of each input that the fold chose one for.
    records : the record of each of its seeds.
    tasks : its test clips with their conditions.
    pool : clips of the speakers who may babble.
    """

    number: int
    layers: dict[str, int]
    records: list[dict[str, Any]]
    tasks: list[NoiseTask]
    pool: Pool

    def voices(self) -> tuple[int, int]:
        """Return the minimum and maximum number of speakers who babble at a time; (0, 0) where nobody does."""
        counts = [len(voices) for task in self.tasks for _, voices in task.conditions if voices]
        return min(counts, default=0), max(counts, default=0)


def crossed(kinds: Sequence[str], snrs: Sequence[float]) -> list[Condition]:
    """Return every kind of noise at every ratio.

    Raises
    ------
    UsageError
        An unknown kind, a ratio out of bounds, none at all, or one twice.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise unknown("kind of noise", kind, KINDS)
    low, high = RATIOS
    odd = [snr for snr in snrs if not (math.isfinite(snr) and low <= snr <= high)]
    if odd:
        raise UsageError(f"a ratio must be in {low:g} to {high:g} dB; found {first_five(odd)}")
    found = [Condition(kind, float(snr)) for kind in kinds for snr in snrs]
    if not found or len({condition.name for condition in found}) < len(found):
        said = f"{', '.join(kinds) or 'no kind'} at {', '.join(f'{snr:g}' for snr in snrs) or 'no'} dB"
        raise UsageError(f"name at least one kind of noise and one ratio, each once; found {said}")
    return found


def planned(
    run: Run, conditions: Sequence[Condition], seed: int, others: pl.DataFrame | None = None
) -> list[FoldPlan]:
    """Return the plan of each fold of a run; no file is opened.

    Parameters
    ----------
    run
        A finished run.
    conditions, seed
        The conditions, and the seed that decides everything random in them.
    others
        Utterances of another corpus, whose speakers babble instead.

    Raises
    ------
    UsageError
        Inputs of such a run cannot be computed from noisy recordings (see ``noisy``), or nobody may babble.
    """
    _check(run)
    if others is not None and corpus_of(others) == corpus_of(run.table):
        raise UsageError(f"the babble is of {corpus_of(others)}, as the run is; name another corpus for it")
    return [
        _fold(run, number, conditions, seed, others) for number in sorted(run.predictions["fold"].unique())
    ]


def lines(folds: Sequence[FoldPlan], conditions: Sequence[Condition], extractors: str) -> list[str]:
    """Describe the plan in a few lines; ``extractors`` names the features and encoders."""
    total = sum(len(fold.tasks) for fold in folds)
    seeds = len({record["seed"] for fold in folds for record in fold.records})
    times = f"{total * len(conditions):,} times through {extractors}"
    found = [
        f"conditions: {', '.join(condition.name for condition in conditions)}",
        f"clips:      {total:,} test clips of {len(folds)} folds, {times}",
        f"heads:      those of {seeds} {'seed' if seeds == 1 else 'seeds'}, as the run left them",
    ]
    fewest, most = voices_at_once(folds)
    if most:
        sizes = sorted(len(fold.pool) for fold in folds)
        found.append(
            f"babble:     {_range(fewest, most)} at a time, of {_range(sizes[0], sizes[-1])} speakers a fold whom "
            "it was not trained on"
        )
    return found


def voices_at_once(folds: Sequence[FoldPlan]) -> tuple[int, int]:
    """Return the minimum and maximum number of people who babble at a time in any fold."""
    counts = [fold.voices() for fold in folds]
    return min(fewest for fewest, _ in counts), max(most for _, most in counts)


def _check(run: Run) -> None:
    """Refuse a run whose inputs cannot be computed again, or that was trained on its test speakers."""
    recipe = run.recipe
    if recipe.training is not None:
        raise UsageError(
            f"{run.folder} tuned its encoder together with the head; noise is measured for heads on features "
            "and on frozen encoders"
        )
    if recipe.target.classes == "none":
        raise UsageError(
            f"{run.folder} predicts dimensions alone; what is lost in noise is measured for classes"
        )
    if any(own.name == "precomputed" for own in recipe.inputs.values()):
        raise UsageError(
            f"{run.folder} learned from features that were computed elsewhere, and these cannot be computed from "
            "noisy recordings here; let `unheard score` score what that system predicts in noise"
        )
    if "LEAKY" in run.scores["stamps"]:
        raise UsageError(
            f"{run.folder} was trained on its test speakers (LEAKY); noise is measured on people whom "
            "a run was not trained on"
        )


def _fold(
    run: Run, number: int, conditions: Sequence[Condition], seed: int, others: pl.DataFrame | None
) -> FoldPlan:
    rows = run.predictions.filter(pl.col("fold") == number)
    seeds = set(rows["seed"])
    records = [record for record in run.folds() if record["fold"] == number and record["seed"] in seeds]
    pool = {} if all(c.kind != "babble" for c in conditions) else _pool(run, number, others)
    predicted = rows.filter((pl.col("part") == "test") & pl.col("logits").is_not_null())["id"].unique()
    tasks: list[NoiseTask] = []
    for speaker, clip in _clips(
        run.table.filter(pl.col("id").is_in(predicted.to_list())).sort("id"), run.recipe.channel
    ):
        # One clip a fold is also predicted without noise, to see whether the head still predicts what it did.
        under = conditions if tasks else [CLEAN, *conditions]
        # Speakers of another corpus are other people, whatever they are called.
        own = speaker if others is None else None
        drawn = [(c, _voices(c, clip.id, own, number, pool, seed)) for c in under]
        tasks.append(NoiseTask(number, clip, tuple(drawn), seed))
    return FoldPlan(number, chosen_layers(run.recipe, records[0]["chosen"]), records, tasks, pool)


def _pool(run: Run, number: int, others: pl.DataFrame | None) -> Pool:
    """Return the readable clips of speakers whom the fold was not trained on."""
    if others is None:
        fold = run.protocol.folds[number]
        ids = (*fold.train, *fold.val) if run.recipe.refit == "val" else fold.train
        trained = run.table.filter(pl.col("id").is_in(list(ids)))["speaker"].drop_nulls().unique()
        readable = run.predictions.filter(pl.col("logits").is_not_null())["id"].unique()
        free = run.table.filter(
            ~pl.col("speaker").is_in(trained.to_list()) & pl.col("id").is_in(readable.to_list())
        )
    else:
        free = others
    pool: dict[str, list[Clip]] = {}
    for speaker, clip in _clips(free.filter(pl.col("speaker").is_not_null()).sort("id"), run.recipe.channel):
        pool.setdefault(str(speaker), []).append(clip)
    return pool


def _clips(table: pl.DataFrame, channel: int | None) -> list[tuple[str | None, Clip]]:
    return list(zip(table["speaker"], clips(table, channel), strict=True))


def _voices(
    condition: Condition, clip: str, speaker: str | None, number: int, pool: Pool, seed: int
) -> tuple[Clip, ...]:
    """Draw the speakers who babble, and one clip of each."""
    if condition.kind != "babble":
        return ()
    names = [name for name in sorted(pool) if name != speaker]
    if not names:
        raise UsageError(
            f"fold {number}: nobody is left to babble over {clip}: every other speaker is in training; "
            "take the babble from another corpus (--babble, babble= in Python), or ask for white noise alone"
        )
    rng = generator(seed, condition, clip, "voices")
    drawn = rng.choice(len(names), min(VOICES, len(names)), replace=False)
    return tuple(pool[names[k]][int(rng.integers(len(pool[names[k]])))] for k in drawn)


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"
