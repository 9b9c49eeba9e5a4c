"""Which clips of a speaker are known: drawn at random, so that one model serves every number of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import overload

import numpy as np

from unheard.adaptation.profile import (
    Moments,
    Population,
    Priors,
    Profile,
    moments,
    profile,
    rows_of_speakers,
    sum_of,
)
from unheard.inputs import Array, Features, Form

#: Numbers of known clips that training draws from; None stands for all of a speaker's clips.
COUNTS: tuple[int | None, ...] = (0, 1, 2, 4, 8, 16, None)


@dataclass(frozen=True)
class Known:
    """The clips of one speaker that are known, by their row.

    Parameters
    ----------
    rows
        The clips.
    spare
        A further clip, which takes the place of a known one when that one is itself looked at; None where all
        clips are known, or there is no other.
    """

    rows: tuple[int, ...]
    spare: int | None


def draw(
    speakers: Sequence[str], rng: np.random.Generator, counts: Sequence[int | None] = COUNTS
) -> dict[str, Known]:
    """Draw for each speaker how many clips are known, and which.

    Parameters
    ----------
    speakers
        Speaker of each row.
    rng
        Source of all chance.
    counts
        Numbers of clips among which is drawn, each as likely; None stands for all. A speaker with fewer clips than
        are drawn is known by all of them.
    """
    known = {}
    for speaker, rows in rows_of_speakers(speakers).items():
        count = counts[int(rng.integers(len(counts)))]
        order = [rows[i] for i in rng.permutation(len(rows))]
        if count is None or count >= len(order):
            known[speaker] = Known(tuple(order), None)
        else:
            known[speaker] = Known(tuple(order[:count]), order[count] if count else None)
    return known


class Adapted(Sequence[Array]):
    """Features of some clips, each standardised by the profile of its speaker when it is asked for.

    Parameters
    ----------
    features
        One array a clip, in ``form``.
    speakers
        Speaker of each clip.
    known
        What is known of each speaker (:func:`draw`).
    around, priors
        The training population, and how much it counts.
    form
        Form of the features.
    """

    def __init__(
        self,
        features: Features,
        speakers: Sequence[str],
        known: Mapping[str, Known],
        around: Population,
        priors: Priors,
        form: Form,
    ) -> None:
        self.features, self.speakers, self.known = features, [str(one) for one in speakers], known
        self.around, self.priors, self.form = around, priors, form
        self._sums = cache(self._sum_of)
        self._profiles = cache(self._profile_of)

    def __len__(self) -> int:
        return len(self.features)

    @overload
    def __getitem__(self, index: int) -> Array: ...
    @overload
    def __getitem__(self, index: slice) -> list[Array]: ...
    def __getitem__(self, index: int | slice) -> Array | list[Array]:
        """Return one clip, standardised; a known clip is measured by the others and the spare one."""
        if isinstance(index, slice):
            return [self[number] for number in range(len(self))[index]]
        clip, own = self.features[index], self.known[self.speakers[index]]
        if own.spare is None or index not in own.rows:
            return self._profiles(self.speakers[index]).apply(clip)
        sums = self._sums(self.speakers[index]) - self._moments(index) + self._moments(own.spare)
        return profile(sums, self.around, self.priors).apply(clip)

    def _moments(self, index: int) -> Moments:
        return moments(self.features[index], self.around, self.form)

    def _profile_of(self, speaker: str) -> Profile:
        return profile(self._sums(speaker), self.around, self.priors)

    def _sum_of(self, speaker: str) -> Moments:
        rows = self.known[speaker].rows
        return sum_of((self.features[i] for i in rows), self.around, self.form)
