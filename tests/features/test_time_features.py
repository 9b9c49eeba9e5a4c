"""Frames over time: cepstra by their definition, our descriptors, the waveform itself, openSMILE's own frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.fft import dct

from unheard.errors import UsageError
from unheard.features import build
from unheard.features.descriptors import NAMES, describe


def sound(samples: int = 12_345) -> np.ndarray:
    rng = np.random.default_rng(0)
    time = np.arange(samples) / 16_000
    voiced = np.sign(np.sin(2 * np.pi * 140 * time)) * (1 + np.sin(2 * np.pi * 3 * time)) * 0.1
    return (voiced + 0.01 * rng.standard_normal(samples)).astype(np.float32)


def test_cepstra_are_the_cosine_transform_of_the_log_mels_and_their_slopes() -> None:
    found = build({"name": "mfcc"}).compute(sound())
    logs = build({"name": "logmel", "bands": 40, "edges": "mirror"}).compute(sound())
    cepstra = dct(logs.astype(np.float64), type=2, norm="ortho", axis=1)[:, :13]
    assert_allclose(found[:, :13], cepstra, rtol=1e-4, atol=1e-4)
    # The slope of least squares through five frames, from the third frame to the third from the end.
    for order in (0, 13):
        values = found[:, order : order + 13].astype(np.float64)
        for t in (2, 20, len(values) - 3):
            slope = np.polyfit(np.arange(-2, 3), values[t - 2 : t + 3], 1)[0]
            assert_allclose(found[t, order + 13 : order + 26], slope, rtol=1e-3, atol=1e-3)
    assert build({"name": "mfcc"}).names[0::13] == ("mfcc00", "delta_mfcc00", "delta_delta_mfcc00")
    assert build({"name": "mfcc", "deltas": 0, "count": 5}).compute(sound()).shape[1] == 5
    with pytest.raises(UsageError, match="41 coefficients are more than the 40 bands"):
        build({"name": "mfcc", "count": 41})


@pytest.mark.parametrize("hop", [0.01, 0.02])
def test_descriptors_are_those_of_the_functionals(hop: float) -> None:
    spec = build({"name": "descriptors", "hop": hop})
    found, whole = spec.compute(sound()), describe(sound(), round(hop * 16_000))
    assert_allclose(found[:, :-1], whole.values, rtol=1e-5, atol=1e-5)
    assert_array_equal(found[:, -1], whole.voiced)
    assert spec.names == (*NAMES, "voiced")
    assert found[:, -1].mean() > 0.5
    louder = spec.compute(3 * sound())
    assert_allclose(louder, found, rtol=1e-3, atol=2e-3)
    with pytest.raises(UsageError, match=r"expected 0\.01 or 0\.02"):
        build({"name": "descriptors", "hop": 0.03})


def test_a_waveform_is_cut_into_rows_and_nothing_is_lost() -> None:
    found = build({"name": "waveform"}).compute(sound(1001))
    assert found.shape == (7, 160)
    assert_array_equal(found.ravel()[:1001], sound(1001))
    assert not found.ravel()[1001:].any()
    assert build({"name": "waveform"}).compute(sound(0)).shape == (1, 160)
    assert build({"name": "waveform"}).compute(sound(320)).shape == (2, 160)


@pytest.mark.parametrize(
    ("name", "functionals", "dims"), [("egemaps_lld", "egemaps", 25), ("compare_lld", "compare", 65)]
)
def test_frames_of_opensmile_are_what_its_functionals_are_of(name: str, functionals: str, dims: int) -> None:
    pytest.importorskip("opensmile")
    spec: Any = build({"name": name})
    found = spec.compute(sound())
    assert found.shape[1] == dims == len(spec.names)
    assert abs(len(found) - 100 * len(sound()) / 16_000) < 8
    whole = build({"name": functionals})
    values = dict(zip(whole.names, whole.compute(sound()), strict=True))
    column = {"egemaps_lld": "Loudness_sma3", "compare_lld": "pcm_RMSenergy_sma"}[name]
    own = {key: value for key, value in values.items() if key.lower().startswith(column.lower())}
    mean = next(value for key, value in own.items() if key.endswith("amean"))
    assert_allclose(found[:, spec.names.index(column)].mean(), mean, rtol=0.05)
