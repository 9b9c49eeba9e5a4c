"""Two questions that a linear probe answers from a layer: which emotion, and who is speaking.

Both are asked of training clips on inner folds. For emotion no speaker is in two parts. Who is speaking can be
asked only of speakers whom the probe was trained on: there the folds hold out sentences, or clips where there are
none, and the score says nothing about unheard people.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unheard import heads
from unheard.errors import DataError
from unheard.extraction.saliency import sample
from unheard.metrics.categorical import confusion, per_class, uar
from unheard.metrics.intervals import DRAWS, FEWEST, draws_of_units, percentile
from unheard.metrics.rows import units
from unheard.training.examples import labelled

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

#: Fixed: one probe a layer, alike for all of them, chooses nothing.
C = 0.01
FOLDS = 5
#: Of a larger corpus so many clips, and speakers to be told apart, are drawn.
MAX_CLIPS, MAX_SPEAKERS = 5_000, 50


@dataclass(frozen=True)
class Question:
    """A task over clips, alike for every layer.

    Parameters
    ----------
    ids
        Ids of the clips.
    truth
        Class numbers 0 … classes - 1, shape (n,).
    classes
        Number of classes.
    inner
        Number of the inner fold that holds out each clip, shape (n,).
    held_out
        What no two parts of an inner fold share: ``speakers``, ``sentences`` or ``clips``.
    unit, strata
        Number of the speaker of each clip, shape (n,), and the stratum of each speaker: what intervals draw.
    """

    ids: tuple[str, ...]
    truth: Labels
    classes: int
    inner: Labels
    held_out: str
    unit: Labels
    strata: Labels


def emotion(rows: pl.DataFrame, classes: int, seed: int = 0) -> Question:
    """Ask for the label, on inner folds that share no speaker (no clip, where speakers are unknown).

    ``rows`` holds ``id``, ``label`` (class number), ``speaker`` and ``gender``.
    """
    rows = _known(rows[sample(len(rows), seed, MAX_CLIPS)])
    unit, strata = _units(rows)
    if len(strata) < 2:
        raise DataError(f"a probe needs training clips of two speakers, found {len(strata)}")
    truth = rows["label"].to_numpy().astype(np.int64)
    inner = np.random.default_rng(seed).permutation(len(strata))[unit] % min(FOLDS, len(strata))
    held_out = "clips" if rows["speaker"].null_count() == len(rows) else "speakers"
    return Question(tuple(rows["id"]), truth, classes, inner.astype(np.int64), held_out, unit, strata)


def speaker(rows: pl.DataFrame, seed: int = 0) -> Question | None:
    """Ask who is speaking, on inner folds that hold out sentences, or clips where sentences do not serve.

    Sentences serve where each clip has one and each speaker says some of every part. None where fewer than two
    speakers are known by two clips.
    """
    rows = rows.filter(pl.col("speaker").is_not_null() & (pl.len().over("speaker") > 1))
    names = rows["speaker"].unique().sort()
    names = names.gather(sample(len(names), seed, MAX_SPEAKERS))
    if len(names) < 2:
        return None
    rows = rows.filter(pl.col("speaker").is_in(names.to_list()))
    rows = _known(rows[sample(len(rows), seed, MAX_CLIPS)])
    unit, strata = _units(rows)
    inner, held_out = _by_sentence(rows, unit), "sentences"
    if inner is None:
        inner, held_out = _by_clip(unit, seed), "clips"
    return Question(tuple(rows["id"]), unit, len(strata), inner, held_out, unit, strata)


def predictions(question: Question, X: Floats, threads: int = 1) -> Labels:
    """Predict each clip by the probe of the other inner folds, shape (n,); ``X`` has a row (dims,) a clip."""
    found = np.empty(len(X), dtype=np.int64)
    for number in np.unique(question.inner):
        held = question.inner == number
        # A class that the others lack is never predicted.
        present, truth = np.unique(question.truth[~held], return_inverse=True)
        if len(present) < 2:
            found[held] = present[0]
            continue
        groups = question.unit[~held].astype(np.str_)
        rows = labelled(
            {"layer": _listed(X[~held])}, truth.reshape(-1), groups, [str(number) for number in present]
        )
        head = heads.build({"name": "probe", "grid": [C], "threads": threads}).fit(rows)
        found[held] = present[head.outputs({"layer": _listed(X[held])}).argmax(axis=1)]
    return found


def score(question: Question, predicted: Labels, seed: int = 0) -> dict[str, float | None]:
    """Return the UAR over all clips, with a 95 % percentile interval over draws of speakers within gender.

    Where the classes are speakers it is the mean of the drawn speakers' recalls.
    """
    counts = confusion(question.truth, predicted, question.classes)
    found: dict[str, float | None] = {"uar": float(uar(counts)), "low": None, "high": None}
    speakers = len(question.strata)
    if speakers < FEWEST:
        return found
    if np.array_equal(question.truth, question.unit):
        recall = per_class(counts).recall
        drawn = np.concatenate([w @ recall / speakers for w in _drawn(question, seed, 1)])
    else:
        k = question.classes
        each = np.zeros((speakers, k * (k + 1)))
        np.add.at(each, (question.unit, question.truth * (k + 1) + predicted), 1)
        drawn = np.concatenate(
            [uar((w @ each).reshape(-1, k, k + 1)) for w in _drawn(question, seed, each.shape[1])]
        )
    found["low"], found["high"] = percentile(drawn)
    return found


def _drawn(question: Question, seed: int, width: int) -> Iterator[Floats]:
    return draws_of_units(question.strata, DRAWS, np.random.default_rng(seed), width)


def _known(rows: pl.DataFrame) -> pl.DataFrame:
    unit = pl.coalesce(pl.lit("speaker ") + pl.col("speaker"), pl.lit("clip ") + pl.col("id"))
    return rows.sort("id").with_columns(unit=unit)


def _units(rows: pl.DataFrame) -> tuple[Labels, Labels]:
    """Return the number of each clip's unit, and the stratum of each unit."""
    names, strata = units(rows)
    number = {name: k for k, name in enumerate(names)}
    return np.array([number[name] for name in rows["unit"]], dtype=np.int64), strata


def _by_sentence(rows: pl.DataFrame, unit: Labels) -> Labels | None:
    if rows["sentence"].null_count():
        return None
    names, sentence = np.unique(rows["sentence"].to_numpy().astype(np.str_), return_inverse=True)
    inner = sentence.reshape(-1) % min(FOLDS, len(names))
    all_known = all(len(np.unique(unit[inner != k])) == len(np.unique(unit)) for k in np.unique(inner))
    return inner.astype(np.int64) if len(names) > 1 and all_known else None


def _by_clip(unit: Labels, seed: int) -> Labels:
    """Assign each speaker's clips to the folds in random order, each beginning where the last one ended."""
    order = np.lexsort((np.random.default_rng(seed).permutation(len(unit)), unit))
    inner = np.empty(len(unit), dtype=np.int64)
    inner[order] = np.arange(len(unit)) % FOLDS
    return inner


def _listed(X: Floats) -> Sequence[NDArray[np.float32]]:
    return list(X.astype(np.float32))
