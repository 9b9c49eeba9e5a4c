"""Augmentation of log-mels: what each change is, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from unheard.distillation.logmels import babbled, equalised, noisy, warped


def frames(n: int = 50, bands: int = 20) -> np.ndarray:
    return np.random.default_rng(0).normal(12, 2, (n, bands)).astype(np.float32)


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_no_warp_changes_nothing() -> None:
    x = frames()
    assert_allclose(warped(x, 40, 1.0, 1.0), x[:40], atol=1e-6)


def test_a_ramp_in_time_becomes_steeper_and_one_in_frequency_too() -> None:
    ramp = np.tile(np.arange(60.0, dtype=np.float32)[:, None], (1, 8))
    assert_allclose(warped(ramp, 40, 1.15, 1.0)[:, 0], np.arange(40) * 1.15, rtol=1e-5)
    tilt = np.tile(np.arange(8.0, dtype=np.float32), (60, 1))
    assert_allclose(warped(tilt, 40, 1.0, 0.5)[0], np.arange(8) * 0.5, rtol=1e-5)
    # Beyond the highest band there is only that band.
    assert_allclose(warped(tilt, 40, 1.0, 1.5)[0], np.minimum(np.arange(8) * 1.5, 7), rtol=1e-5)


def test_an_equaliser_is_one_smooth_curve_for_all_frames() -> None:
    x = frames()
    curve = equalised(x, 1.0, rng()) - x
    assert_allclose(curve, np.tile(curve[0], (50, 1)), atol=1e-5)
    assert np.ptp(curve[0]) > 0.5
    assert np.abs(np.diff(curve[0], 2) > 1e-4).sum() <= 2 * 6  # straight between few knots
    assert_array_equal(equalised(x, 0.0, rng()), x)


@pytest.mark.parametrize("snr", [0.0, 10.0, 30.0])
def test_noise_adds_power_in_the_stated_ratio(snr: float) -> None:
    x = frames(2000, 80)
    power = np.exp(x.astype(float))
    # Mean over generators: a colour's mean power is 1 by construction, a frame's varies.
    ratios = []
    for seed in range(5):
        y = noisy(x, snr, snr, rng(seed))
        assert y.dtype == np.float32
        assert (y >= x - 1e-5).all()
        ratios.append(10 * np.log10(power.mean() / (np.exp(y.astype(float)) - power).mean()))
    assert_allclose(ratios, snr, atol=0.5)


def test_voices_are_added_at_equal_power_in_the_stated_ratio() -> None:
    x, low, high = (np.full((40, 4), -30.0, np.float32) for _ in range(3))
    x[:, 0], low[:, 1], high[:, 2] = 10, 3, 9  # each speaks in a band of its own, one voice far louder
    power = np.exp(babbled(x, [low, high], 7, 7, rng()).astype(float)).mean(axis=0)
    assert power[0] == pytest.approx(np.exp(10), rel=1e-3)
    assert power[1] == pytest.approx(power[2], rel=1e-3)
    assert 10 * np.log10(power[0] / (power[1] + power[2])) == pytest.approx(7, abs=1e-2)


def test_draws_are_the_generators_own_and_inputs_stay() -> None:
    x = frames()
    before = x.copy()
    voices = [frames() + 3]
    changes = (
        lambda g: equalised(x, 1.0, g),
        lambda g: noisy(x, 0, 30, g),
        lambda g: babbled(x, voices, 0, 30, g),
    )
    for change in changes:
        assert_array_equal(change(rng(3)), change(rng(3)))
        assert np.abs(change(rng(3)) - change(rng(4))).max() > 0.1
    assert_array_equal(x, before)
