"""What the primary test of two systems found, whatever their target, and the part of it that is over speakers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard.comparison.paired import LEVEL, bootstrap, sign_flip, smallest_shown


@dataclass(frozen=True)
class Outcome:
    """Outcome of the primary test, and of those that decide nothing.

    Parameters
    ----------
    metric
        What T is the difference of: ``accuracy``, ``kl`` (smaller is better) or ``mean.ccc``.
    difference, low, high
        T and its 95 % interval over speakers (None below four).
    p
        The p value of the sign flips, or of the exchange of clips.
    smallest
        Smallest difference that these speakers could have shown (None: none could).
    n_speakers, n_clips
        Known speakers and clips that both tested. ``only_a``, ``only_b``, ``unanswered_a``,
        ``unanswered_b`` and ``dropped`` as in :class:`unheard.comparison.pairs.Pairs`.
    speakers
        d_s of each known speaker.
    secondary
        Never decisive. Of classes: ``uar`` (difference, low, high, p as above, of each speaker's UAR),
        ``corrected_t`` (difference, folds, t, p; None across protocols or with one fold) and ``mcnemar`` (only_a,
        only_b, p). Of other targets: ``exchange``, for each metric by its name what
        :func:`unheard.comparison.targets.exchanged` returns.
    marks
        ``UNVERIFIED`` or ``FEW SPEAKERS`` where due.
    """

    metric: str
    difference: float
    low: float | None
    high: float | None
    p: float
    smallest: float | None
    n_speakers: int
    n_clips: int
    only_a: int
    only_b: int
    unanswered_a: int
    unanswered_b: int
    dropped: int
    speakers: dict[str, float]
    secondary: dict[str, Any]
    marks: tuple[str, ...]


@dataclass(frozen=True)
class Resampling:
    """How differences are tested: ``pairs`` compared together, bootstrap ``draws``, the ``seed`` of all chance."""

    pairs: int
    draws: int
    seed: int


def over_units(units: Sequence[str], d: NDArray[np.float64], how: Resampling) -> dict[str, Any]:
    """Return ``difference``, ``low``, ``high``, ``p``, ``smallest`` and ``speakers`` of an :class:`Outcome`.

    Parameters
    ----------
    units
        Sorted: ``speaker NAME``, or ``clip ID`` where the speaker is unknown. With unknown speakers nothing can be
        shown, whatever the clips say.
    d
        Difference of each unit, A minus B.
    """
    interval = bootstrap(d, how.draws, how.seed)
    low, high = interval or (None, None)
    known = {
        unit.removeprefix("speaker "): float(value)
        for unit, value in zip(units, d, strict=True)
        if unit.startswith("speaker ")
    }
    verified = len(known) == len(units)
    return {
        "difference": float(d.mean()),
        "low": low,
        "high": high,
        "p": sign_flip(d, how.seed),
        "smallest": smallest_shown(d, interval, LEVEL / how.pairs, how.seed)
        if interval and verified
        else None,
        "speakers": known,
    }
