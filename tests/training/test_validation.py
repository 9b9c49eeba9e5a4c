"""The figure by which an epoch is chosen, and validation rows that cannot have any."""

from __future__ import annotations

import numpy as np
import pytest

from unheard.errors import DataError
from unheard.targets import Target
from unheard.training.validation import CCC, check_known

NAN = np.nan


def test_validation_rows_without_what_the_figure_asks_for_are_refused() -> None:
    both = Target(("a", "b"), dimensions=("valence",))
    check_known(np.array([[1.0, 0.0, NAN], [NAN, NAN, 0.5]]), both, "uar")
    with pytest.raises(DataError, match="none of them has a known class; give the fold validation speakers"):
        check_known(np.array([[NAN, NAN, 0.3], [NAN, NAN, 0.5]]), both, "uar")
    alone = Target((), dimensions=("valence", "activation"))
    check_known(np.array([[NAN, 0.3]]), alone, CCC)
    with pytest.raises(DataError, match="none of them has a known dimension"):
        check_known(np.array([[NAN, NAN]]), alone, CCC)


def test_a_network_says_so_before_it_trains() -> None:
    pytest.importorskip("torch")
    from unheard.heads.networks.mean import Mean
    from unheard.training.examples import Examples

    rng = np.random.default_rng(0)
    clips = [rng.normal(0, 1, (4, 3)).astype(np.float32) for _ in range(6)]
    speakers = np.array(list("aabbcc"))
    target = Target(("a", "b"), dimensions=("valence",))
    targets = np.column_stack([np.eye(2)[[0, 1, 0, 1, 0, 1]], np.linspace(0, 1, 6)])
    unlabelled = targets.copy()
    unlabelled[:, :2] = NAN
    train, val = (Examples({"voice": clips}, own, target, speakers) for own in (targets, unlabelled))
    with pytest.raises(DataError, match="known class"):
        Mean(epochs=1).fit(train, val)
