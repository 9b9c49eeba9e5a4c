"""The human ceiling: each grader against the consensus of the others, on clips with at least three graders.

The consensus of classes is what most others chose; where several classes tie, each counts in equal parts, which is
the mean over all ways to break the tie (our choice). The consensus of a dimension is the mean of the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard.metrics.categorical import accuracy, uar
from unheard.metrics.dimensional import ccc_of, moments
from unheard.metrics.intervals import DRAWS, FEWEST, draws_of_units, percentile

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Graders a clip needs.
MIN_GRADERS = 3
#: Up to so many graders each has an own score, and their mean is the ceiling; more, or nameless ones, are pooled.
MOST_GRADERS = 20


@dataclass(frozen=True)
class Ceiling:
    """Sums of graders against the others, by unit (speaker).

    Parameters
    ----------
    counts
        Expected confusion of each grader, shape (units, graders, C, C + 1); the last column is empty.
    moments
        Of each dimension, shape (units, graders, D, 6) (:func:`unheard.metrics.dimensional.moments`).
    n_clips, n_graders
        Clips with graders enough, and named graders (0: they are not named).
    """

    counts: Floats
    moments: Floats
    n_clips: int
    n_graders: int


def ceiling_of(
    votes: Sequence[Sequence[Mapping[str, Any]]],
    units: Ints,
    classes: Sequence[str],
    dimensions: Sequence[str],
) -> Ceiling:
    """Sum each grader against the others.

    Parameters
    ----------
    votes
        What the graders of each clip said: ``grader``, ``label``, ``weight``, and dimensions on [0, 1]. A vote
        without a grader stands for as many people as it weighs.
    units
        Number of the unit (speaker) of each clip, shape (clips,).
    classes, dimensions
        Names; votes for what is no class are left out.
    """
    names = sorted({vote["grader"] for clip in votes for vote in clip if vote["grader"] is not None})
    own = {name: i for i, name in enumerate(names)} if len(names) <= MOST_GRADERS else {}
    number = {name: i for i, name in enumerate(classes)}
    groups, every = max(len(own), 1), int(units.max(initial=-1)) + 1
    counts = np.zeros((every, groups, len(classes), len(classes) + 1))
    sums = np.zeros((every, groups, len(dimensions), 6))
    used = 0
    for clip, unit in zip(votes, units.tolist(), strict=True):
        chosen = [
            (own.get(vote["grader"], 0), number[vote["label"]], *_people(vote))
            for vote in clip
            if vote["label"] in number
        ]
        people = sum(each for _, _, each, _ in chosen)
        if people >= MIN_GRADERS:
            total = np.zeros(len(classes))
            for _, label, each, weight in chosen:
                total[label] += each * weight
            for group, label, each, weight in chosen:
                others = total.copy()
                others[label] -= weight
                tied = others >= others.max() - 1e-9
                counts[unit, group, tied, label] += each / tied.sum()
        rated = False
        for d, dimension in enumerate(dimensions):
            values = [(own.get(v["grader"], 0), v.get(dimension)) for v in clip]
            values = [(group, value) for group, value in values if value is not None]
            if len(values) >= MIN_GRADERS:
                rated = True
                mine = np.array([value for _, value in values])
                rest = (mine.sum() - mine) / (len(mine) - 1)
                np.add.at(sums[unit, :, d], [group for group, _ in values], moments(mine, rest))
        used += people >= MIN_GRADERS or rated
    return Ceiling(counts, sums, used, len(names))


def ceiling(
    found: Ceiling, strata: Ints, dimensions: Sequence[str], draws: int = DRAWS, seed: int = 0
) -> dict[str, Any]:
    """Return ``accuracy``, ``uar`` and ``DIMENSION.ccc`` of graders, each with an interval over speakers.

    Each has ``pooled``, ``low`` and ``high``; of named graders up to 20 it is the mean of their
    scores. ``strata`` (units,) are those of the bootstrap. With
    ``n_clips`` and ``n_graders``; a score that no clip allows is absent.
    """
    units, groups, c, _ = found.counts.shape
    flat = np.concatenate(
        [found.counts.reshape(units, groups, -1), found.moments.reshape(units, groups, -1)], axis=-1
    )

    def scores(sums: Floats) -> dict[str, Floats]:
        confusion = sums[..., : c * (c + 1)].reshape(*sums.shape[:-1], c, c + 1)
        powers = sums[..., c * (c + 1) :].reshape(*sums.shape[:-1], len(dimensions), 6)
        each = {"accuracy": accuracy(confusion), "uar": uar(confusion)} if c else {}
        each |= {f"{name}.ccc": ccc_of(powers[..., d, :]) for d, name in enumerate(dimensions)}
        return {name: values.mean(axis=-1) for name, values in each.items()}

    whole = scores(flat.sum(axis=0))
    drawn: dict[str, list[Floats]] = {name: [] for name in whole}
    wide = flat.reshape(units, -1)
    if units >= FEWEST:
        for weights in draws_of_units(strata, draws, np.random.default_rng(seed), wide.shape[1]):
            for name, values in scores((weights @ wide).reshape(len(weights), groups, -1)).items():
                drawn[name].append(values)
    result: dict[str, Any] = {"n_clips": found.n_clips, "n_graders": found.n_graders}
    for name, value in whole.items():
        if not np.isnan(value):
            low, high = percentile(np.concatenate(drawn[name])) if drawn[name] else (None, None)
            result[name] = {"pooled": float(value), "low": low, "high": high}
    return result


def _people(vote: Mapping[str, Any]) -> tuple[float, float]:
    """Return how many people a vote stands for, and how much each of them weighs."""
    weight = 1.0 if vote["weight"] is None else float(vote["weight"])
    return (weight, 1.0) if vote["grader"] is None else (1.0, weight)
