"""The clips that a system got most wrong: the first ones to play."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unheard.report.system import System


@dataclass(frozen=True)
class WrongClip:
    """A wrong prediction: ``sure`` is its probability, ``true_probability`` that of the truth.

    ``start`` and ``end`` are seconds of the file, None for its beginning and end.
    """

    id: str
    path: str
    start: float | None
    end: float | None
    speaker: str
    fold: int
    truth: str
    predicted: str
    sure: float
    true_probability: float


def most_confidently_wrong(system: System, most: int = 20) -> list[WrongClip]:
    """Return wrong predictions, the most probable first; of several seeds or folds of a clip, one.

    Paths come from the utterance table; without one they are empty.
    """
    rows = system.labelled
    wrong = np.flatnonzero((rows.predicted >= 0) & (rows.predicted != rows.label))
    sure = rows.probabilities[wrong, rows.predicted[wrong]]
    table = system.table
    places = (
        {}
        if table is None
        else {row[0]: row[1:] for row in table.select("id", "path", "start", "end").rows()}
    )
    ids, folds = rows.frame["id"], rows.frame["fold"]
    speakers = rows.frame["speaker"]
    found: dict[str, WrongClip] = {}
    for i in wrong[np.lexsort((wrong, -sure))]:
        number = int(i)
        path, start, end = places.get(ids[number], (None, None, None))
        found.setdefault(
            ids[number],
            WrongClip(
                ids[number],
                path or "",
                start,
                end,
                speakers[number] or "",
                folds[number],
                rows.classes[rows.label[i]],
                rows.classes[rows.predicted[i]],
                float(rows.probabilities[i, rows.predicted[i]]),
                float(rows.probabilities[i, rows.label[i]]),
            ),
        )
        if len(found) == most:
            break
    return list(found.values())
