"""The plan of an evaluation in noise: which clips, which conditions, and who babbles over each (docs/noise.md)."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from unheard.audio.conditions import VOICES
from unheard.audio.extensions import EXTENSIONS
from unheard.audio.noise import KINDS, NOISES
from unheard.audio.search import walk
from unheard.corpora.table import clips, corpus_of
from unheard.errors import UsageError, unknown
from unheard.inputs import Clip, Piece
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
        every = [each for task in self.tasks for each in task.conditions]
        counts = [len(voices) for condition, voices in every if condition.kind == "babble"]
        return min(counts, default=0), max(counts, default=0)


#: What ``all`` stands for: everything that needs neither a folder nor a package that may be missing.
USUAL = (
    "white_20dB", "white_10dB", "white_5dB", "pink_10dB", "babble_20dB", "babble_10dB", "babble_5dB",
    "room_0.3s", "room_0.6s", "room_0.9s", "telephone", "mu_law", "a_law", "mp3_32kbps", "opus_16kbps",
    "clip_10%", "gain_-20dB", "speed_0.9x", "speed_1.1x",
)  # fmt: skip


def crossed(kinds: Sequence[str], snrs: Sequence[float], more: Sequence[str] = ()) -> list[Condition]:
    """Return every kind of noise at every ratio, and then the conditions that are named whole.

    Raises
    ------
    UsageError
        An unknown kind or condition, a level out of bounds, none at all, or one twice.
    """
    for kind in kinds:
        if kind not in NOISES:
            raise unknown("kind of noise", kind, NOISES)
    found = [Condition(kind, _within(kind, float(snr))) for kind in kinds for snr in snrs]
    found += [condition(name) for each in more for name in (USUAL if each == "all" else (each,))]
    if not found or len({condition.name for condition in found}) < len(found):
        said = f"{', '.join(kinds) or 'no kind'} at {', '.join(f'{snr:g}' for snr in snrs) or 'no'} dB"
        said += f" and {', '.join(more)}" if more else ""
        raise UsageError(f"name at least one kind of noise and one ratio, each once; found {said}")
    return found


def condition(name: str) -> Condition:
    """Return the condition of a name such as ``white_10dB``, ``room_0.6s`` or ``mu_law``.

    Raises
    ------
    UsageError
        There is no such kind, or its level is missing or out of bounds.
    """
    if name in KINDS and KINDS[name] is None:
        return Condition(name)
    kind, _, said = name.rpartition("_")
    level = KINDS.get(kind)
    if level is None:
        names = [f"{k}_N{has.unit}" if has else k for k, has in KINDS.items()]
        raise unknown("condition", name, names)
    try:
        value = float(said.removesuffix(level.unit))
    except ValueError:
        raise UsageError(f"{name}: {kind} takes a number of {level.unit}, as in {_example(kind)}") from None
    return Condition(kind, _within(kind, value))


def _within(kind: str, value: float) -> float:
    level = KINDS[kind]
    assert level is not None
    if not (math.isfinite(value) and level.low <= value <= level.high):
        what = "a ratio" if level.noise else f"the level of {kind}"
        raise UsageError(f"{what} must be in {level.low:g} to {level.high:g} {level.unit}; found {value:g}")
    return value


def _example(kind: str) -> str:
    level = KINDS[kind]
    return kind if level is None else f"{kind}_{level.high:g}{level.unit}"


@dataclass(frozen=True)
class Recordings:
    """Files that conditions take at random: noises for ``recorded``, impulse responses for ``impulse``."""

    noises: Sequence[Clip] = ()
    responses: Sequence[Clip] = ()

    @classmethod
    def found(
        cls, noises: str | os.PathLike[str] | None, responses: str | os.PathLike[str] | None
    ) -> Recordings:
        """Return the recordings in two folders and below; None is no folder.

        Raises
        ------
        UsageError
            There is no such folder, or no recording in it.
        """
        return cls(_files(noises, "noises"), _files(responses, "impulse responses"))

    def of(self, kind: str) -> Sequence[Clip]:
        """Return the recordings of a kind of condition."""
        return {"recorded": self.noises, "impulse": self.responses}[kind]


def planned(
    run: Run,
    conditions: Sequence[Condition],
    seed: int,
    others: pl.DataFrame | None = None,
    recordings: Recordings | None = None,
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
    recordings
        Files of noises and of impulse responses, where a condition takes them.

    Raises
    ------
    UsageError
        Inputs of such a run cannot be computed from noisy recordings (see ``noisy``), or nobody may babble.
    """
    _check(run)
    files = recordings or Recordings()
    for kind, option in (("recorded", "--noises"), ("impulse", "--rooms")):
        if any(condition.kind == kind for condition in conditions) and not files.of(kind):
            raise UsageError(f"the condition {kind} takes recordings: name their folder ({option})")
    if others is not None and corpus_of(others) == corpus_of(run.table):
        raise UsageError(f"the babble is of {corpus_of(others)}, as the run is; name another corpus for it")
    return [
        _fold(run, number, conditions, seed, others, files)
        for number in sorted(run.predictions["fold"].unique())
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
    run: Run,
    number: int,
    conditions: Sequence[Condition],
    seed: int,
    others: pl.DataFrame | None,
    files: Recordings,
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
        drawn = [(c, _voices(c, clip.id, own, number, pool, seed, files)) for c in under]
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
    condition: Condition,
    clip: str,
    speaker: str | None,
    number: int,
    pool: Pool,
    seed: int,
    files: Recordings,
) -> tuple[Clip, ...]:
    """Draw the other recordings that a condition takes: a clip of each speaker who babbles, or one file."""
    if condition.kind in ("recorded", "impulse"):
        listed = files.of(condition.kind)
        return (listed[int(generator(seed, condition, clip, "file").integers(len(listed)))],)
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


def _files(folder: str | os.PathLike[str] | None, what: str) -> list[Clip]:
    """Return the recordings of a folder as clips, in the order of their paths."""
    if folder is None:
        return []
    root = Path(folder)
    if not root.is_dir():
        raise UsageError(f"{root}: no such folder of {what}")
    paths = [path for path in walk(root) if isinstance(path, Path)]
    found = [path for path in paths if path.suffix.lower() in EXTENSIONS]
    if not found:
        raise UsageError(
            f"{root}: no recording in it; expected a folder of {what} such as .wav or .flac files"
        )
    return [Clip(path.as_posix(), audio=Piece(str(root / path))) for path in found]


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"
