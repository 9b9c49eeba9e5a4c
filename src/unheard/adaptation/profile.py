"""What is usual of one speaker, shrunk towards all speakers by how little is known, and features measured by it.

Of features with one row a clip, or of pooled layers, a profile holds mean and variance over the speaker's clips.
Of frames it holds those over the frames of the clips. With K clips of mean m and variance v, a training population
of mean μ (over speakers) and variance w within a speaker (averaged over speakers), and the priors κ and λ::

    mean = (K m + κ μ) / (K + κ)        variance = (K v + λ w) / (K + λ)

so that K = 0 gives the population itself. Nothing of the clips is used but their features: no label, no order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from unheard.errors import DataError
from unheard.inputs import Array, Features, Form
from unheard.settings import Within, check

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Priors:
    """Weights of the population against a speaker's clips, as numbers of clips (κ, λ).

    Parameters
    ----------
    mean_prior
        Weight of the population's mean.
    variance_prior
        Weight of the variance within a speaker of the population.
    """

    mean_prior: Annotated[float, Within(0.01, 1000.0)] = 4.0
    variance_prior: Annotated[float, Within(0.01, 1000.0)] = 8.0

    def __post_init__(self) -> None:
        check(self, "adapt")


@dataclass(frozen=True)
class Population:
    """What is usual of the speakers that a model was trained on.

    Parameters
    ----------
    mean
        Mean over speakers of the mean over a speaker's clips.
    variance
        Variance over a speaker's clips, averaged over speakers; both in the shape of a clip's row, of its pooled
        layers, or of one frame.
    """

    mean: Floats
    variance: Floats


@dataclass(frozen=True)
class Moments:
    """Sums over some clips of one speaker, of values from which the population's mean was taken.

    Sums of two sets of clips add up to those of both, and a clip can be taken out again.
    """

    clips: int
    values: int
    total: Floats
    squares: Floats

    def __add__(self, other: Moments) -> Moments:
        """Return the sums over the clips of both."""
        return Moments(
            self.clips + other.clips,
            self.values + other.values,
            self.total + other.total,
            self.squares + other.squares,
        )

    def __sub__(self, other: Moments) -> Moments:
        """Return the sums without the clips of the other, which must be among those of this one."""
        return Moments(
            self.clips - other.clips,
            self.values - other.values,
            self.total - other.total,
            self.squares - other.squares,
        )


@dataclass(frozen=True)
class Profile:
    """By what the features of one speaker are standardised.

    Parameters
    ----------
    mean, scale
        In the shape of :class:`Population`; the scale is above 0.
    clips
        Number of the speaker's clips that it was made from; 0 for the population's own.
    """

    mean: Floats
    scale: Floats
    clips: int

    def apply(self, clip: Array) -> Array:
        """Return a clip's features, in any form, standardised by the profile."""
        mean, scale = self.mean, self.scale
        if mean.ndim and clip.ndim > mean.ndim:
            mean, scale = np.expand_dims(mean, -2), np.expand_dims(scale, -2)
        # What lies beyond every number is infinite, and its reader says so.
        with np.errstate(over="ignore"):
            return np.asarray((clip - mean) / scale, dtype=np.float32)


def population(features: Features, speakers: Sequence[str], form: Form) -> Population:
    """Return the population of some speakers' clips, each speaker counting alike.

    Parameters
    ----------
    features
        One array a clip, in ``form``.
    speakers
        Speaker of each clip.

    Raises
    ------
    DataError
        There are no clips.
    """
    if not len(features):
        raise DataError("adaptation needs training clips, and there are none")
    of_speaker = rows_of_speakers(speakers)
    shape = _centred(features[0], 0.0, form).shape[1:]
    zero = Population(np.zeros(shape), np.ones(shape))
    sums = {speaker: sum_of((features[i] for i in rows), zero, form) for speaker, rows in of_speaker.items()}
    means = {speaker: each.total / each.values for speaker, each in sums.items()}
    within = []
    for speaker, rows in of_speaker.items():
        # A second pass around the speaker's own mean: squares of large values would lose the variance.
        own = sum_of((features[i] for i in rows), Population(means[speaker], zero.variance), form)
        within.append(own.squares / own.values)
    return Population(np.mean(list(means.values()), axis=0), np.mean(within, axis=0))


def rows_of_speakers(speakers: Sequence[str]) -> dict[str, list[int]]:
    """Return the row numbers of each speaker's clips, given the speaker of each row."""
    rows: dict[str, list[int]] = {}
    for row, speaker in enumerate(speakers):
        rows.setdefault(str(speaker), []).append(row)
    return rows


def moments(clip: Array, around: Population, form: Form) -> Moments:
    """Return the sums of one clip."""
    values = _centred(clip, around.mean, form)
    return Moments(1, len(values), values.sum(axis=0), np.square(values).sum(axis=0))


def sum_of(clips: Iterable[Array], around: Population, form: Form) -> Moments:
    """Return the sums of several clips of one speaker; of none all are zero."""
    total = Moments(0, 0, np.zeros_like(around.mean), np.zeros_like(around.mean))
    for clip in clips:
        total += moments(clip, around, form)
    return total


def profile(known: Moments, around: Population, priors: Priors) -> Profile:
    """Return the profile of a speaker of whom these clips are known."""
    clips = known.clips
    difference = known.total / known.values if known.values else known.total
    spread = known.squares / known.values - difference**2 if known.values else known.squares
    kappa, rho = priors.mean_prior, priors.variance_prior
    mean = around.mean + clips * difference / (clips + kappa)
    variance = (clips * np.maximum(spread, 0) + rho * around.variance) / (clips + rho)
    scale = np.sqrt(variance)
    # What never varies within a speaker says nothing; float32 rounding is no variation either.
    return Profile(mean, np.where(scale <= 1e-6 * np.abs(mean), 1.0, scale), clips)


def _centred(clip: Array, mean: Floats | float, form: Form) -> Floats:
    """Return the values of a clip over which mean and variance are taken, first axis, less the mean."""
    values = np.asarray(clip, dtype=np.float64)
    rows = np.moveaxis(values, -2, 0) if form.has_frames else values[None]
    centred: Floats = rows - mean
    return centred
