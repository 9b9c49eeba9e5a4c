from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from unheard.comparison.compare import Comparison, compare
from unheard.comparison.paired import smallest_shown
from unheard.comparison.wording import brief, describe, verdict

Make = Callable[..., pl.DataFrame]


@pytest.fixture
def found(random: Make) -> Comparison:
    """A comparison whose numbers each test sets as it needs them."""
    return replace(
        compare(random(1), random(2), draws=10, names=("egemaps", "compare")),
        difference=0.0523, low=0.021, high=0.083, p=0.0004, p_holm=0.0004, supported=True, smallest=0.03,
    )  # fmt: skip


def test_the_verdict_comes_first(found: Comparison) -> None:
    lines = describe(found).splitlines()
    assert lines[0] == "Supported: egemaps is more accurate than compare by 5.2 points."
    assert lines[1] == "Mean over speakers of egemaps - compare: +5.2 [+2.1, +8.3], sign flips p = 4.0e-04."
    assert lines[2] == "240 clips of 12 known speakers that both tested."


def test_the_better_one_is_named_whichever_it_is(found: Comparison) -> None:
    assert "compare is more accurate than egemaps by 5.2" in describe(
        replace(found, difference=-0.0523, low=-0.083, high=-0.021)
    )


def test_not_shown_says_what_could_have_been(found: Comparison) -> None:
    c = replace(found, supported=False, low=-0.01, p=0.21)
    assert describe(c).splitlines()[0] == (
        "Not shown: egemaps and compare differ by 5.2 points of accuracy. Only a difference of more than "
        "3.0 points could have been shown with these 12 speakers."
    )
    few = describe(replace(c, smallest=None, n_speakers=5, marks=("FEW SPEAKERS",)))
    assert "With 5 speakers no difference could have been shown (at least 6 are needed)." in few
    assert "FEW SPEAKERS: intervals over 5 speakers are too narrow." in few
    many = describe(replace(c, smallest=None, pairs=40))
    assert "no difference could have been shown (after Holm's correction over 40 pairs)." in many
    unknown = describe(replace(c, smallest=None, n_speakers=0, marks=("UNVERIFIED",)))
    assert "Speakers are unknown, so no difference could have been shown." in unknown
    assert "Mean over clips of egemaps" in unknown


def test_brief_answers_are_the_first_three_lines_and_of_several_pairs_the_verdict(found: Comparison) -> None:
    assert brief(found).splitlines() == describe(found).splitlines()[:3]
    assert brief(found, alone=False) == describe(found).splitlines()[0] == verdict(found)
    across = replace(found, across=True, protocol_a="x", protocol_b="y")
    assert brief(across, alone=False).splitlines() == describe(across).splitlines()[:2]


def test_a_smallest_difference_that_rounds_to_nothing_is_not_told(found: Comparison) -> None:
    for smallest in (0.0, -0.0, 0.0004):
        text = describe(replace(found, supported=False, smallest=smallest, low=-0.01, p=0.21))
        assert text.splitlines()[0] == "Not shown: egemaps and compare differ by 5.2 points of accuracy."
    least = smallest_shown(np.array([1e-3] * 7 + [0.0]), (0.0, 1e-3))
    assert least is not None and not np.signbit(least)


def test_identical_predictions_do_not_differ(random: Make) -> None:
    text = describe(compare(random(1), random(1), draws=10, names=("a", "b")))
    assert text.splitlines()[0] == "Not shown: a and b do not differ in accuracy."
    assert "-0.0" not in text


def test_across_protocols_is_the_first_line(found: Comparison) -> None:
    c = replace(found, across=True, protocol_a="random-6", protocol_b=None)
    assert describe(c).splitlines()[0] == (
        "Across protocols: egemaps was tested on random-6, compare on an unknown protocol."
    )


def test_what_was_left_out_is_said(found: Comparison) -> None:
    text = describe(replace(found, only_a=3, only_b=1, unanswered_b=2, dropped=4, pairs=3, p_holm=0.0012))
    assert "3 only in egemaps, left out; 1 only in compare, left out" in text
    assert "2 without a prediction from compare, counted as errors; 4 without a prediction, left out." in text
    assert "sign flips p = 4.0e-04 (Holm over 3 pairs: p = 0.001)" in text


def test_secondary_tests_carry_their_caveat(found: Comparison) -> None:
    lines = describe(found).splitlines()
    here = lines.index("Secondary, and never decisive:")
    assert lines[here + 1].startswith("  UAR: ")
    assert lines[here + 2].startswith("  Corrected resampled t test over 3 folds: t = ")
    assert lines[here + 3].endswith("clips of a speaker are not independent, so this p is too small.")
    without = describe(replace(found, secondary={**found.secondary, "corrected_t": None}))
    assert "Corrected" not in without
