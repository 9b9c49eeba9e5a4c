"""Trimming: both ends, frames of 25 ms every 10 ms, decibels below the loudest frame."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unheard.audio.trim import AROUND, FRAME, HOP, trim
from unheard.errors import UsageError


def naive(wave: np.ndarray, decibels: float) -> np.ndarray:
    """The definition, one frame at a time."""
    starts = range(0, len(wave) - FRAME + 1, HOP)
    levels = []
    for start in starts:
        power = float(np.mean(wave[start : start + FRAME].astype(np.float64) ** 2))
        levels.append(10 * np.log10(power) if power > 0 else -np.inf)
    if not levels or max(levels) == -np.inf:
        return wave
    kept = [start for start, level in zip(starts, levels, strict=True) if level >= max(levels) - decibels]
    end = len(wave) if kept[-1] == starts[-1] else kept[-1] + FRAME
    return wave[kept[0] : end]


@settings(max_examples=60, deadline=None)
@given(
    levels=st.lists(st.sampled_from([0.0, -20.0, -35.0, -45.0, -80.0, None]), min_size=1, max_size=12),
    tail=st.integers(0, 399),
    decibels=st.sampled_from([10.0, 30.0, 40, 60.0]),
    seed=st.integers(0, 5),
)
def test_it_follows_the_definition(levels: list, tail: int, decibels: float, seed: int) -> None:
    noise = np.random.default_rng(seed).standard_normal(len(levels) * 500 + tail)
    gains = np.repeat([0.0 if level is None else 10 ** (level / 20) for level in levels], 500)
    wave = (noise * np.concatenate([gains, np.full(tail, gains[-1])])).astype(np.float32)
    kept = trim(wave, decibels)
    np.testing.assert_array_equal(kept, naive(wave, decibels))
    np.testing.assert_array_equal(trim(kept, decibels), kept)


def test_pauses_inside_stay_and_gain_does_not_matter() -> None:
    loud, quiet = np.ones(1600, dtype=np.float32), np.full(8000, 1e-4, dtype=np.float32)
    wave = np.concatenate([quiet, loud, quiet, loud, quiet])
    kept = trim(wave, 40)
    # A frame is loud from a 40 dB overlap on: at most one frame and a hop of silence stay on each side.
    assert 11_200 <= len(kept) <= 11_200 + 2 * (FRAME + HOP)
    np.testing.assert_array_equal(trim(wave * np.float32(0.25), 40), kept * np.float32(0.25))


def test_nothing_to_cut() -> None:
    for wave in (np.zeros(5000), np.empty(0), np.ones(10), np.ones(FRAME - 1), np.ones(7777)):
        np.testing.assert_array_equal(trim(wave.astype(np.float32), 40), wave)


@pytest.mark.parametrize(
    "decibels", [0, -40, float("nan"), float("inf"), "40", True, None, [], [40, 0], (40, None), [40, 10, 5]]
)
def test_a_threshold_that_is_none_is_refused(decibels: object) -> None:
    with pytest.raises(UsageError, match="decibels above 0"):
        trim(np.ones(5000, dtype=np.float32), decibels)  # type: ignore[arg-type]


@pytest.mark.parametrize("snr", [60, 30, 20, 10, 5])
def test_with_a_second_number_what_is_only_noise_goes(snr: float) -> None:
    rng = np.random.default_rng(0)
    wave = 10 ** (-snr / 20) * rng.standard_normal(32_000)
    wave[12_000:20_000] += rng.standard_normal(8_000)
    kept = trim(wave.astype(np.float32), (40, 10))
    if snr < 10:  # less than 10 dB over the noise: nothing below the loudest by as much counts as noise
        assert len(kept) > 30_000
    else:
        around = 2 * AROUND * HOP if snr < 40 else 0
        assert 8_000 - 2 * HOP <= len(kept) - around <= 8_000 + 2 * (FRAME + HOP)
    # Beyond 40 dB it is the first number that decides.
    assert (len(trim(wave.astype(np.float32), 40)) == len(kept)) == (snr > 40 or snr < 10)


def test_a_clean_recording_is_cut_as_by_one_number() -> None:
    rng = np.random.default_rng(0)
    gains = np.repeat([1e-4, 0.02, 0.3, 1, 0.1, 1e-4], 4_000)  # a fade within 40 dB is no noise
    wave = (gains * rng.standard_normal(24_000)).astype(np.float32)
    np.testing.assert_array_equal(trim(wave, [40, 10]), trim(wave, 40))
    np.testing.assert_array_equal(trim(np.ones(7777, np.float32), (40, 10)), np.ones(7777, np.float32))


@pytest.mark.parametrize("rate", [8_000, 22_050, 32_000, 44_100])
def test_frames_are_as_long_at_any_rate(rate: int) -> None:
    seconds = {"quiet": 0.4, "loud": 0.3}
    noise = np.random.default_rng(0).standard_normal(rate).astype(np.float32)
    quiet, loud = (noise[: round(rate * seconds[part])] for part in ("quiet", "loud"))
    kept = trim(np.concatenate([quiet * np.float32(1e-4), loud, quiet * np.float32(1e-4)]), 40, rate)
    assert 0.3 <= len(kept) / rate <= 0.3 + 2 * 0.035
    np.testing.assert_array_equal(trim(kept, 40, rate), kept)
