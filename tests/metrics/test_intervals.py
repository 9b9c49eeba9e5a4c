from __future__ import annotations

import numpy as np
import pytest

from unheard.errors import UsageError
from unheard.metrics import intervals
from unheard.metrics.intervals import draws_of_units, percentile


def weights(strata: list[int], draws: int, seed: int = 0, width: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.concatenate(list(draws_of_units(np.array(strata), draws, rng, width)))


def test_each_stratum_keeps_its_size() -> None:
    strata = [0, 1, 0, 3, 1, 0]
    w = weights(strata, 500)
    assert w.shape == (500, 6)
    for s in (0, 1, 3):
        here = np.array(strata) == s
        assert (w[:, here].sum(axis=1) == here.sum()).all()


def test_units_are_drawn_as_a_multinomial() -> None:
    w = weights([0] * 8, 40_000)
    # Multinomial: mean 1, variance 1 - 1/m, covariance -1/m.
    assert np.allclose(w.mean(axis=0), 1, atol=0.03)
    c = np.cov(w.T)
    assert np.allclose(np.diag(c), 7 / 8, atol=0.03)
    assert np.allclose(c[~np.eye(8, dtype=bool)], -1 / 8, atol=0.03)


def test_small_blocks_give_every_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "_ROOM", 100)
    blocks = list(draws_of_units(np.zeros(10, dtype=int), 95, np.random.default_rng(0), 7))
    assert [len(b) for b in blocks] == [10] * 9 + [5]
    assert all((b.sum(axis=1) == 10).all() for b in blocks)


def test_percentile_leaves_out_undefined_draws() -> None:
    values = np.r_[np.arange(1001.0), np.nan]
    assert percentile(values) == pytest.approx((25, 975))


def test_no_draws_is_refused() -> None:
    with pytest.raises(UsageError, match="at least one draw, found 0"):
        weights([0, 0], 0)
