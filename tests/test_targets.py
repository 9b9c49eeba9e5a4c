"""What the columns of a target mean: shares, their majority, and shares of which a part has moved."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from unheard.errors import UsageError
from unheard.targets import Target, class_numbers, majority, smoothed

SHARES = np.array([[1.0, 0, 0], [1 / 3, 2 / 3, 0], [0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3], [np.nan] * 3])


def test_the_majority_is_unknown_where_classes_tie() -> None:
    assert_array_equal(majority(SHARES)[:2], [[1, 0, 0], [0, 1, 0]])
    assert np.isnan(majority(SHARES)[2:]).all()
    assert_array_equal(class_numbers(majority(SHARES)), [0, 1, -1, -1, -1])


def test_smoothed_shares_are_those_of_emo_superb_and_sum_to_one() -> None:
    found = smoothed(SHARES, 0.05)
    assert_allclose(found[0], [0.95, 0.025, 0.025])
    assert_allclose(found[:4].sum(axis=1), 1)
    assert np.isnan(found[4]).all()
    assert_array_equal(class_numbers(found[:2]), class_numbers(SHARES[:2]))
    assert_array_equal(smoothed(SHARES, 0.0), SHARES)


@pytest.mark.parametrize(
    ("of", "smoothing"), [("label", 0.05), ("majority", 0.05), ("votes", 0.5), ("votes", -0.1)]
)
def test_smoothing_is_of_votes_and_leaves_most_where_it_is(of: str, smoothing: float) -> None:
    with pytest.raises(UsageError, match=r"target\.smoothing"):
        Target(("a", "b"), of, smoothing=smoothing)
