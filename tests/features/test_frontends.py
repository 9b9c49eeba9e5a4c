"""Front ends of networks: Whisper's equals Transformers'; counts and settings hold for each."""

from __future__ import annotations

import numpy as np
import pytest
from transformers import WhisperFeatureExtractor

from unheard.errors import AudioError, UsageError
from unheard.features.frontends import FRONTENDS, build_frontend, frontend_settings
from unheard.features.logmel import LogMel


def wave(seconds: float, rate: int, seed: int = 0) -> np.ndarray:
    n = round(seconds * rate)
    noise = np.random.default_rng(seed).standard_normal(n) * 0.1
    return (noise * np.sin(np.arange(n) / 3000.0)).astype(np.float32)


@pytest.mark.parametrize("bands", [80, 128])
@pytest.mark.parametrize("seconds", [0.5, 3.0, 31.0])
def test_whispers_frontend_equals_transformers(bands: int, seconds: float) -> None:
    samples = wave(seconds, 16_000)
    theirs = WhisperFeatureExtractor(feature_size=bands)
    expected = theirs(samples, sampling_rate=16_000, return_tensors="np")["input_features"][0].T
    found = build_frontend({"name": "whisper", "bands": bands}).compute(samples)
    np.testing.assert_allclose(found, expected, atol=3e-5)
    plain = theirs(samples, sampling_rate=16_000, return_tensors="np", padding=False, truncation=False)
    own = build_frontend({"name": "whisper", "bands": bands, "seconds": 0}).compute(samples)
    np.testing.assert_allclose(own, plain["input_features"][0].T, atol=3e-5)


@pytest.mark.parametrize(
    "settings",
    [{"name": "logmel", "edges": edges} for edges in ("snip", "mirror", "zeros")]
    + [{"name": "whisper", "seconds": 0.0}, {"name": "whisper", "seconds": 1.0}, {"name": "efficientat"}],
)
def test_counts_are_those_of_what_is_computed(settings: dict) -> None:
    front = build_frontend(settings)
    for samples in (0, 1, 159, 160, 399, 400, 401, 719, 720, 1023, 1024, 5000, 32_000, 100_001):
        found = front.compute(wave(samples, 1))
        assert found.shape == (front.count(samples), len(front.names)), samples
        assert found.dtype == np.float32


@pytest.mark.parametrize("name", FRONTENDS)
def test_settings_make_the_same_frontend_again(name: str) -> None:
    full = frontend_settings({"name": name})
    assert frontend_settings(full) == full
    assert build_frontend(full) == build_frontend({"name": name})
    bad = wave(0.5, 16_000)
    bad[7] = np.nan
    with pytest.raises(AudioError, match="not finite"):
        build_frontend(full).compute(bad)


def test_a_feature_is_the_frontend_of_its_name() -> None:
    samples = wave(0.3, 16_000)
    found = build_frontend({"name": "logmel", "bands": 40}).compute(samples)
    np.testing.assert_array_equal(found, LogMel(bands=40).compute(samples))


def test_what_is_unknown_is_refused_with_near_matches() -> None:
    with pytest.raises(UsageError, match="did you mean 'whisper'"):
        build_frontend({"name": "wisper"})
    with pytest.raises(UsageError, match="did you mean 'bands'"):
        build_frontend({"name": "whisper", "band": 80})
    with pytest.raises(UsageError, match="a 'name' is missing"):
        build_frontend({})
    with pytest.raises(UsageError, match="seconds must be in 0 … 60, found -1"):
        build_frontend({"name": "whisper", "seconds": -1.0})
