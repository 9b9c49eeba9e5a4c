"""Counted terms: of the text alone, by their hash, with the turns before apart."""

from __future__ import annotations

import numpy as np
import pytest

from unheard import features
from unheard.errors import UsageError
from unheard.inputs import Turn


def row(*texts: str, **settings: object) -> np.ndarray:
    turns = tuple(Turn(None, text) for text in texts)
    return features.build({"name": "terms", "dims": 4096, **settings}).extract([turns], [0])[0][0]


def test_a_term_counts_one_and_the_logarithm_of_its_repeats_in_any_case() -> None:
    once, often = row("no", pairs=False), row("No NO no yes", pairs=False)
    (place,) = np.flatnonzero(once)
    assert abs(once[place]) == 1
    assert len(np.flatnonzero(often)) == 2
    other = next(k for k in np.flatnonzero(often) if k != place)
    assert abs(often[place] / often[other]) == pytest.approx(1 + np.log(3))
    assert np.linalg.norm(often) == pytest.approx(1)


def test_pairs_punctuation_and_the_turns_before_are_terms_of_their_own() -> None:
    assert len(np.flatnonzero(row("do you"))) == 3
    assert not np.array_equal(row("do you"), row("you do"))
    assert np.array_equal(row("do you", pairs=False), row("you, do.", pairs=False))
    assert not np.array_equal(row("what"), row("what?!"))
    assert np.array_equal(row("don’t"), row("don't"))
    alone, after = row("no", pairs=False), row("no", "no", pairs=False)
    assert len(np.flatnonzero(after)) == 2
    assert after[np.flatnonzero(alone)[0]] == pytest.approx(alone[np.flatnonzero(alone)[0]] / np.sqrt(2))
    assert not row("…").any()


def test_settings_out_of_bounds_are_refused() -> None:
    with pytest.raises(UsageError, match="dims must be in"):
        row("no", dims=8)
