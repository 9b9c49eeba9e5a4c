"""Golden outputs: sounds that are always the same, and a file that gives back what it was given."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from unheard.audio.decode import from_samples
from unheard.bundle.golden import Golden, difference, unpack
from unheard.exporting.golden import pack, synthetic_waves


def test_waves_are_always_the_same_and_sound_like_something() -> None:
    waves = synthetic_waves()
    assert all(np.array_equal(a, b) for a, b in zip(waves, synthetic_waves(), strict=True))
    assert len({hashlib.sha256(wave.tobytes()).hexdigest() for wave in waves}) == len(waves) == 3
    for wave in waves:
        clip = from_samples(wave, 16_000)
        assert clip.flags == ()
        assert 0.9 < clip.seconds < 1.6
        # Whole 16-bit steps: what is stored is what was computed from.
        assert_array_equal(wave * 32768, np.round(wave * 32768))


@pytest.mark.parametrize("axes", [1, 2])
def test_the_file_gives_back_what_it_was_given(axes: int) -> None:
    rng = np.random.default_rng(0)
    inputs = tuple(
        {name: rng.normal(size=(5, 4)[-axes:]).astype(np.float32) for name in ("voice", "face")}
        for _ in range(3)
    )
    given = Golden(synthetic_waves(), inputs, rng.normal(size=(3, 6)))
    data = pack(given)
    found = unpack(data, ["voice", "face"])
    for one, other in zip((*given.waves, given.outputs), (*found.waves, found.outputs), strict=True):
        assert_array_equal(one, other)
    for one, other in zip(given.inputs, found.inputs, strict=True):
        assert list(one) == list(other)
        for name in one:
            assert_array_equal(one[name], other[name])
    assert pack(given) == data


def test_difference_is_absolute_below_one_and_relative_above() -> None:
    expected = np.array([[0.5, 100.0]])
    assert difference(expected + np.array([[0.01, 0.0]]), expected) == pytest.approx(0.01)
    assert difference(expected + np.array([[0.0, 1.0]]), expected) == pytest.approx(0.01)
    assert difference(np.array([[np.nan, 1.0]]), expected) == np.inf
    assert difference(np.zeros((2, 2)), expected) == np.inf
