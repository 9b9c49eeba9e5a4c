"""What a fold's model predicts when it knows some clips of each test speaker (docs/adaptation.md).

For one curve the same clips of a speaker are set aside for every number of known clips, and never scored. Nothing
of the known clips is used but their sound; that neutral ones are picked out for a curve of their own is the
experiment's choice, not the model's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from unheard.adaptation.draws import Known
from unheard.files import digest

#: Clips of a speaker that are set aside, and numbers of known clips among them.
ASIDE = 16
COUNTS = (0, 1, 2, 4, 8, 16)
#: The same of neutral clips alone.
NEUTRAL_ASIDE = 8
NEUTRAL_COUNTS = (0, 1, 2, 4, 8)
#: Labels of clips without an emotion.
NEUTRAL = ("neutral", "calm")
#: Random draws of the known clips for each number of them.
DRAWS = 20
#: A speaker with fewer clips is left out of the curves.
MIN_CLIPS = 24


@dataclass(frozen=True)
class Asked:
    """One prediction for some clips, knowing others.

    Parameters
    ----------
    kind
        ``clips``, ``neutral`` or ``all`` (the column ``enrol_kind``).
    count
        Number of known clips of each speaker; 0 for ``all``, where it differs from speaker to speaker.
    draw
        Number of the draw.
    known
        Rows that are known, by speaker.
    scored
        Rows that are predicted.
    """

    kind: str
    count: int
    draw: int
    known: Mapping[str, Known]
    scored: Sequence[int]


def asked(speakers: Sequence[str | None], labels: Sequence[str | None], seed: int = 0) -> Iterator[Asked]:
    """Yield all that a fold's test clips are asked for.

    A speaker's clips are set aside and drawn by the speaker's name and the seed alone, so that every system and
    every fold takes the same.

    Parameters
    ----------
    speakers, labels
        Speaker and label of each clip; None where not known.
    seed
        Seed of what is set aside and drawn.
    """
    rows: dict[str, list[int]] = {}
    for row, speaker in enumerate(speakers):
        if speaker is not None:
            rows.setdefault(speaker, []).append(row)
    long = {speaker: own for speaker, own in rows.items() if len(own) >= MIN_CLIPS}
    yield from _curve("clips", long, long, ASIDE, COUNTS, seed)
    neutral = {speaker: [i for i in own if labels[i] in NEUTRAL] for speaker, own in long.items()}
    neutral = {speaker: own for speaker, own in neutral.items() if len(own) >= NEUTRAL_ASIDE}
    yield from _curve("neutral", long, neutral, NEUTRAL_ASIDE, NEUTRAL_COUNTS, seed)
    if rows:
        known = {speaker: Known(tuple(own), None) for speaker, own in rows.items()}
        yield Asked("all", 0, 0, known, [i for own in rows.values() for i in own])


def _curve(
    kind: str,
    rows: Mapping[str, Sequence[int]],
    pool: Mapping[str, Sequence[int]],
    aside: int,
    counts: Sequence[int],
    seed: int,
) -> Iterator[Asked]:
    """Yield the draws of one curve, over the speakers of ``pool``."""
    if not pool:
        return
    generators = {speaker: np.random.default_rng(int(digest([kind, speaker, seed]), 16)) for speaker in pool}
    kept = {
        speaker: [own[i] for i in generators[speaker].permutation(len(own))[:aside]]
        for speaker, own in pool.items()
    }
    scored = [i for speaker in pool for i in rows[speaker] if i not in set(kept[speaker])]
    for count in counts:
        for number in range(1 if count in (0, aside) else DRAWS):
            known = {
                speaker: Known(tuple(own[i] for i in generators[speaker].permutation(aside)[:count]), None)
                for speaker, own in kept.items()
            }
            yield Asked(kind, count, number, known, scored)
