"""Pairs of classes that a model answers crosswise: planted, and what must not be taken for one."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from unheard.auditing.certificate import Finding
from unheard.auditing.swapped_labels import check_swapped_labels
from unheard.predictions.table import predictions

CLASSES = ("angry", "happy", "sad")


def heard(clips: list[tuple[str, str | None, int]]) -> list[Finding]:
    """Return the findings on so many clips of each label and answer; without an answer there is no prediction."""
    rows = [(label, answer) for label, answer, count in clips for _ in range(count)]
    shares = [None if a is None else [0.6 if name == a else 0.2 for name in CLASSES] for _, a in rows]
    frame = pl.DataFrame(
        {
            "corpus": "toy",
            "system": "toy",
            "id": [f"c{number:03}" for number in range(len(rows))],
            "speaker": "s",
            "gender": None,
            "label": [label for label, _ in rows],
            "probabilities": pl.Series(shares, dtype=pl.List(pl.Float64)),
        }
    )
    return check_swapped_labels(predictions(frame, CLASSES))


def test_a_planted_swap_is_named_with_its_clips() -> None:
    clips = [
        ("angry", "sad", 30),
        ("angry", "angry", 5),
        ("sad", "angry", 28),
        ("sad", None, 9),
        ("happy", "happy", 30),
    ]
    (found,) = heard(clips)
    assert (found.code, found.severity, found.count) == ("LABELS_SWAPPED", "warning", 58)
    assert (
        "30 of 35 clips called angry sound like sad and 28 of 28 clips called sad sound like angry"
        in found.message
    )
    assert found.examples[0] == "c000: angry, heard as sad"


@pytest.mark.parametrize(
    "clips",
    [
        # Right; a class taken for another whole, one way only; few clips; coins.
        [(name, name, 40) for name in CLASSES],
        [("angry", "sad", 40), ("sad", "sad", 40), ("happy", "happy", 40)],
        [("angry", "sad", 15), ("sad", "angry", 15), ("happy", "happy", 40)],
        [(a, b, 40) for a in CLASSES for b in CLASSES],
        # Both are taken for a third one, and tell nothing of each other.
        [("angry", "happy", 40), ("sad", "happy", 40), ("happy", "happy", 40)],
    ],
)
def test_mistakes_that_are_no_swap_are_passed_over(clips: list[tuple[str, str | None, int]]) -> None:
    assert heard(clips) == []


def test_chance_alone_names_nobody() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        clips = [(str(rng.choice(CLASSES)), str(rng.choice(CLASSES)), 1) for _ in range(300)]
        assert heard(clips) == []
