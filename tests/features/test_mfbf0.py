"""MFBF0: its columns are what their names say, and averaging is averaging."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from unheard.errors import UsageError
from unheard.features.logmel import LogMel
from unheard.features.mfbf0 import MFBF0


def speechlike(n: int = 16_000) -> np.ndarray:
    """A buzz of 200 Hz between two stretches of faint noise."""
    t = np.arange(n) / 16_000
    buzz = sum(np.sin(2 * np.pi * 200 * k * t) / k for k in range(1, 20))
    inside = (t > 0.3) & (t < 0.7)
    noise = np.random.default_rng(0).standard_normal(n) * 1e-3
    return (0.2 * buzz * inside + noise).astype(np.float32)


def column(table: np.ndarray, spec: MFBF0, name: str) -> np.ndarray:
    return table[:, spec.names.index(name)]


def test_columns() -> None:
    spec, samples = MFBF0(), speechlike()
    table = spec.compute(samples)
    assert table.shape == (100, 44)
    assert table.dtype == np.float32
    assert len(spec.names) == len(set(spec.names)) == 44
    assert spec.frames_per_second == 100.0
    np.testing.assert_array_equal(table[:, :40], LogMel(bands=40, edges="mirror").compute(samples))
    voiced = column(table, spec, "voiced")
    assert set(np.unique(voiced)) == {0.0, 1.0}
    assert (voiced[33:67] == 1).all()
    assert (voiced[:27] == 0).all()
    np.testing.assert_allclose(
        column(table, spec, "log_f0"), np.log(200.0), atol=0.01
    )  # interpolated outside
    assert column(table, spec, "voicing")[35:65].min() > 0.9
    assert column(table, spec, "voicing")[:25].max() < 0.5
    inner = samples[50 * 160 + 80 - 200 : 50 * 160 + 80 + 200].astype(np.float64)
    assert column(table, spec, "energy")[50] == pytest.approx(np.log(np.mean(inner**2)), abs=1e-4)


def test_unvoiced_frames_as_zero() -> None:
    spec = MFBF0(unvoiced="zero")
    table = spec.compute(speechlike())
    log_f0, voiced = column(table, spec, "log_f0"), column(table, spec, "voiced")
    np.testing.assert_array_equal(log_f0 == 0, voiced == 0)
    np.testing.assert_allclose(log_f0[voiced == 1], np.log(200.0), atol=0.01)


@pytest.mark.parametrize("average", [2, 4, 7])
def test_averaging(average: int) -> None:
    samples = speechlike(16_000 - 320)
    full, fewer = MFBF0().compute(samples), MFBF0(average=average).compute(samples)
    assert MFBF0(average=average).frames_per_second == 100.0 / average
    expected = [full[t : t + average].mean(axis=0) for t in range(0, len(full), average)]
    np.testing.assert_allclose(fewer, expected, rtol=1e-5, atol=1e-5)


def test_averaged_zeros_are_decided_by_the_majority() -> None:
    spec = MFBF0(average=4, unvoiced="zero")
    table = spec.compute(speechlike())
    log_f0, share = column(table, spec, "log_f0"), column(table, spec, "voiced")
    np.testing.assert_array_equal(log_f0 == 0, share < 0.5)
    assert np.ptp(log_f0[log_f0 != 0]) < 0.02  # no mean of pitch and nothing


def test_gain_shifts_levels_and_leaves_pitch() -> None:
    spec, samples = MFBF0(), speechlike()
    one, two = spec.compute(samples), spec.compute(samples * np.float32(0.5))
    np.testing.assert_allclose(one[:, :40] - two[:, :40], 2 * np.log(2.0), atol=1e-3)
    np.testing.assert_allclose(one[:, 40:43], two[:, 40:43], atol=1e-6)
    np.testing.assert_allclose(one[:, 43] - two[:, 43], 2 * np.log(2.0), atol=1e-2)


def test_a_shift_by_whole_hops_shifts_the_frames() -> None:
    samples = speechlike()
    late = np.concatenate([np.zeros(800, dtype=np.float32), samples])
    np.testing.assert_allclose(MFBF0().compute(late)[10:-5], MFBF0().compute(samples)[5:-5], atol=2e-2)


@settings(max_examples=30, deadline=None)
@given(
    arrays(np.float32, st.integers(0, 2500), elements=st.floats(-4.0, 4.0, width=32)),
    st.integers(1, 5),
    st.sampled_from(["interpolate", "zero"]),
)
def test_finite_whatever_the_wave(samples: np.ndarray, average: int, unvoiced: str) -> None:
    table = MFBF0(average=average, unvoiced=unvoiced).compute(samples)
    frames = max(1, (len(samples) + 80) // 160)
    assert table.shape == (-(-frames // average), 44)
    assert np.isfinite(table).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"unvoiced": "nil"}, "unknown mfbf0.unvoiced"),
        ({"average": 0}, "average"),
        ({"f0_low": 20.0}, "40 Hz"),
        ({"f0_low": 300.0, "f0_high": 400.0}, "octave"),
        ({"bands": 0}, "bands"),
    ],
)
def test_settings_out_of_bounds_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        MFBF0(**settings)


def test_range_of_pitch_is_kept() -> None:
    """A buzz of 200 Hz is taken for half of it where the tracker may look no higher than 150 Hz."""
    low = column(MFBF0(f0_low=60.0, f0_high=150.0).compute(speechlike()), MFBF0(), "log_f0")
    assert np.exp(low).max() < 152.0
