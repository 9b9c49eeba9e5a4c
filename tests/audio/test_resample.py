"""Resampling keeps what both rates can hold, and blocks leave no seams."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unheard.audio.resample import RATE, Resampler, to_rate


@pytest.mark.parametrize("rate", [8_000, 11_025, 44_100, 48_000, 192_000])
def test_a_tone_keeps_its_frequency_and_height(rate: int) -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(rate) / rate).astype(np.float32)
    out = to_rate(tone, rate)
    assert len(out) == RATE
    expected = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    np.testing.assert_allclose(out[2000:-2000], expected[2000:-2000], atol=1e-4)


def test_what_the_lower_rate_cannot_hold_is_removed() -> None:
    tone = np.sin(2 * np.pi * 10_000 * np.arange(48_000) / 48_000).astype(np.float32)
    assert np.abs(to_rate(tone, 48_000)[2000:-2000]).max() < 1e-4


def test_equal_rates_change_nothing() -> None:
    wave = np.random.default_rng(0).standard_normal(100).astype(np.float32)
    np.testing.assert_array_equal(to_rate(wave, RATE), wave)
    assert len(to_rate(np.empty(0, dtype=np.float32), 48_000)) == 0


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 5000), min_size=1, max_size=6),
    rate=st.sampled_from([8_000, 16_000, 22_050, 44_100, 48_000]),
)
def test_blocks_together_equal_the_whole(sizes: list[int], rate: int) -> None:
    wave = np.random.default_rng(1).standard_normal(sum(sizes)).astype(np.float32)
    stream = Resampler(rate)
    parts = [stream.add(block) for block in np.split(wave, np.cumsum(sizes)[:-1])]
    joined = np.concatenate([*parts, stream.end()])
    np.testing.assert_array_equal(joined, to_rate(wave, rate))
