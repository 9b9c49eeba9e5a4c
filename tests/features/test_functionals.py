"""Functionals: planted properties of a voice move the dimension that is named after them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from unheard.errors import UsageError
from unheard.features.descriptors import NAMES, describe
from unheard.features.functionals import Functionals

RATE = 16_000
SPEC = Functionals()
SLOW = Functionals(hop=0.02)


def buzz(
    f0: float | np.ndarray = 150.0,
    seconds: float = 1.5,
    *,
    tilt: float = 1.0,
    noise: float = 3e-3,
    seed: int = 0,
) -> np.ndarray:
    """A voice-like sound: harmonics that fall as 1 / k ** tilt, under a resonance, with noise."""
    n = round(seconds * RATE)
    hertz = np.broadcast_to(np.asarray(f0, dtype=np.float64), (n,))
    phase = 2 * np.pi * np.cumsum(hertz) / RATE
    out = np.zeros(n)
    for k in range(1, 50):
        height = (0.05 + 1 / (1 + ((k * hertz - 700) / 150) ** 2)) / k**tilt
        out += np.where(k * hertz < 7800, height * np.sin(k * phase), 0.0)
    out *= 0.2 / np.abs(out).max()
    return (out + noise * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


def syllables(rate: float, seconds: float = 2.0, f0: float = 150.0) -> np.ndarray:
    """A buzz that swells ``rate`` times a second."""
    samples = buzz(f0, seconds, noise=0.0)
    t = np.arange(len(samples)) / RATE
    swell = 0.5 - 0.5 * np.cos(2 * np.pi * rate * t)
    return (samples * swell + 1e-4 * np.random.default_rng(0).standard_normal(len(samples))).astype(
        np.float32
    )


def value(samples: np.ndarray, name: str) -> float:
    return float(SPEC.compute(samples)[SPEC.names.index(name)])


def test_names_fit_the_values_and_are_unique() -> None:
    values = SPEC.compute(buzz())
    assert values.shape == (len(SPEC.names),) == (590,)
    assert values.dtype == np.float32
    assert len(set(SPEC.names)) == len(SPEC.names)
    assert len(describe(buzz()).values[0]) == len(NAMES)


def test_names_name_what_they_say() -> None:
    """Each statistic again, from the descriptors, by its name."""
    rng = np.random.default_rng(0)
    pause = (1e-3 * rng.standard_normal(4000)).astype(np.float32)
    glide = 120.0 * 2 ** np.linspace(0, 1, RATE)
    samples = np.concatenate([pause, buzz(glide, 1.0), pause, buzz(180.0, 0.4), pause])
    found = dict(zip(SPEC.names, SPEC.compute(samples), strict=True))
    d = describe(samples)
    every = dict(zip(NAMES, d.values.T, strict=True))
    for name in NAMES:
        all_frames, voiced = every[name], every[name][d.voiced]
        expected: dict[str, float] = {
            "mean": voiced.mean(),
            "sd": np.log(all_frames.std() + 1e-3),
            "step100ms": np.log(np.abs(all_frames[10:] - all_frames[:-10]).mean() / all_frames.std() + 1e-3),
            "upper": np.percentile(voiced, 90) - np.percentile(voiced, 50),
            "lower": np.percentile(voiced, 50) - np.percentile(voiced, 10),
            "contour2": np.mean(voiced * np.cos(2 * np.pi * (np.arange(len(voiced)) + 0.5) / len(voiced))),
        }
        for kind, number in expected.items():
            assert found[f"{name}_{kind}"] == pytest.approx(number, rel=1e-3, abs=1e-3), f"{name}_{kind}"
    level, pitch = every["level"][d.voiced], every["pitch"][d.voiced]
    assert found["level~pitch"] == pytest.approx(np.arctanh(np.corrcoef(level, pitch)[0, 1]), abs=1e-3)
    assert found["pitch_p80"] == pytest.approx(np.percentile(pitch, 80), abs=1e-3)
    assert found["level_range60"] == pytest.approx(
        np.percentile(level, 80) - np.percentile(level, 20), abs=1e-3
    )
    assert found["voiced_share"] == pytest.approx(d.voiced.mean(), abs=1e-6)
    assert found["log_seconds"] == pytest.approx(np.log(len(samples) / RATE), abs=0.01)


def test_only_loudest_depends_on_the_gain() -> None:
    samples = buzz()
    one, other = SPEC.compute(samples), SPEC.compute(samples * np.float32(2.0**-6))
    change = np.abs(one - other)
    loudest = SPEC.names.index("loudest")
    assert one[loudest] - other[loudest] == pytest.approx(60 * np.log10(4.0), abs=1e-3)
    assert np.delete(change, loudest).max() < 1e-3


def test_an_offset_does_not_matter() -> None:
    samples = buzz()
    one, other = SPEC.compute(samples), SPEC.compute(samples + np.float32(0.1))
    assert np.abs(one - other).max() < 0.05


def test_pitch_is_in_semitones_above_27_5_hz() -> None:
    for f0 in (110.0, 220.0, 440.0):
        assert value(buzz(f0), "pitch_mean") == pytest.approx(12 * np.log2(f0 / 27.5), abs=0.1)
    octave = 110.0 * 2 ** np.linspace(0, 1, 24_000)
    assert value(buzz(octave), "pitch_range90") == pytest.approx(12 * 0.9, abs=0.5)
    assert value(buzz(octave), "pitch_contour1") < -1.0 < 1.0 < value(buzz(octave[::-1]), "pitch_contour1")
    assert (
        value(buzz(octave), "pitch_rising_share")
        > 0.9
        > 0.1
        > value(buzz(octave[::-1]), "pitch_rising_share")
    )


def test_rhythm_counts_syllables_voicing_and_pauses() -> None:
    for rate in (2.0, 4.0, 6.0):
        assert value(syllables(rate), "peaks_per_second") == pytest.approx(rate, abs=0.6)
    pause = (1e-3 * np.random.default_rng(0).standard_normal(6400)).astype(np.float32)
    samples = np.concatenate([buzz(seconds=0.5), pause, buzz(seconds=0.3)])
    assert value(samples, "pause_seconds_mean") == pytest.approx(0.4, abs=0.04)
    assert value(samples, "voiced_seconds_longest") == pytest.approx(0.5, abs=0.04)
    assert value(samples, "voiced_seconds_mean") == pytest.approx(0.4, abs=0.04)
    assert value(samples, "voiced_per_second") == pytest.approx(2 / 1.2, abs=0.05)
    assert value(samples, "voiced_share") == pytest.approx(2 / 3, abs=0.06)


def test_modulation_peaks_at_the_rate_of_the_swell() -> None:
    for rate, band in ((2.0, "1.5to2.5hz"), (5.0, "4to6hz"), (11.0, "9to14hz")):
        bands = [name for name in SPEC.names if name.startswith("mel2_modulation")]
        found = SPEC.compute(syllables(rate))
        heights = {name: found[SPEC.names.index(name)] for name in bands}
        assert max(heights, key=lambda name: heights[name]) == f"mel2_modulation_{band}"


def test_voice_quality() -> None:
    rng = np.random.default_rng(0)
    steady = np.full(24_000, 150.0)
    slow = np.repeat(rng.standard_normal(300), 80)  # another pitch every 5 ms
    assert value(buzz(steady + 6 * slow), "pitch_step") > value(buzz(steady + 2 * slow), "pitch_step") + 0.05
    assert value(buzz(noise=1e-3), "hnr_mean") > value(buzz(noise=1e-2), "hnr_mean") + 5
    bright, dark = buzz(tilt=0.5), buzz(tilt=2.0)
    assert value(bright, "alpha_ratio_mean") > value(dark, "alpha_ratio_mean") + 5
    assert value(bright, "centroid_mean") > value(dark, "centroid_mean")
    assert value(dark, "h1_h2_mean") > value(bright, "h1_h2_mean") + 5
    assert value(dark, "hammarberg_mean") > value(bright, "hammarberg_mean")


def test_level_and_pitch_that_rise_together_correlate() -> None:
    rise = np.linspace(0, 1, 24_000)
    swell = (10 ** (-rise[::-1])).astype(np.float32)
    together = buzz(120.0 * 2**rise, noise=1e-4) * swell
    apart = buzz(120.0 * 2 ** rise[::-1], noise=1e-4) * swell
    assert value(together, "level~pitch") > 1.0 > -1.0 > value(apart, "level~pitch")


@pytest.mark.parametrize("n", [0, 1, 2, 159, 161, 400, 1600, 1700, 2400, 3200, 8000, 100_000])
def test_any_length(n: int) -> None:
    samples = np.resize(buzz(), n).astype(np.float32)
    for spec in (SPEC, SLOW):
        assert np.isfinite(spec.compute(samples)).all()


def test_silence_and_other_dull_waves() -> None:
    t = np.arange(8000)
    for samples in (
        np.zeros(8000), np.ones(8000), np.sin(t * 0.1), np.sign(np.sin(t * 0.1)), (t == 4000) * 1.0,
        1e-9 * np.sin(t * 0.1), np.random.default_rng(0).standard_normal(8000) * 1e-5,
    ):  # fmt: skip
        assert np.isfinite(SPEC.compute(samples.astype(np.float32))).all()


@settings(max_examples=40, deadline=None)
@given(arrays(np.float32, st.integers(0, 4000), elements=st.floats(-4.0, 4.0, width=32)))
def test_finite_whatever_the_wave(samples: np.ndarray) -> None:
    values = SPEC.compute(samples)
    assert np.isfinite(values).all()
    np.testing.assert_array_equal(values, SPEC.compute(samples))


def both(samples: np.ndarray) -> tuple[dict[str, float], dict[str, float]]:
    """Functionals every 10 ms and every 20 ms, by name."""
    one, other = (dict(zip(spec.names, spec.compute(samples).tolist(), strict=True)) for spec in (SPEC, SLOW))
    return one, other


def test_every_20_ms_a_steady_tone_is_the_same() -> None:
    assert SLOW.names == SPEC.names
    assert len(describe(buzz(), 320).values) == len(describe(buzz()).values) // 2
    for f0 in (90.0, 210.0, 400.0):
        one, other = both(buzz(f0))
        for name in ("pitch_mean", "strength_mean", "centroid_mean"):
            assert other[name] == pytest.approx(one[name], abs=0.05), name
        for name in ("level_mean", "loudest", "mfcc1_mean", "h1_h2_mean", "h1_a1_mean", "hnr_mean"):
            assert other[name] == pytest.approx(one[name], abs=1.0), name  # dB


def test_every_20_ms_seconds_are_seconds() -> None:
    pause = (1e-3 * np.random.default_rng(0).standard_normal(6400)).astype(np.float32)
    one, other = both(np.concatenate([buzz(seconds=0.5), pause, buzz(seconds=0.3), pause, buzz(seconds=0.6)]))
    for name in (
        "voiced_seconds_mean",
        "voiced_seconds_longest",
        "pause_seconds_mean",
        "pause_seconds_longest",
    ):
        assert other[name] == pytest.approx(one[name], abs=0.04), name
    for name in ("voiced_share", "voiced_per_second", "loud_share", "log_seconds"):
        assert other[name] == pytest.approx(one[name], abs=0.06), name
    for rate in (2.0, 4.0, 6.0):
        one, other = both(syllables(rate))
        assert other["peaks_per_second"] == pytest.approx(one["peaks_per_second"], abs=0.6)
        assert other["level_step100ms"] == pytest.approx(one["level_step100ms"], abs=0.1)
        # Bands without a swell hold what leaks from the others, which differs.
        bands = [name for name in SPEC.names if name.startswith("mel2_modulation") and one[name] > 3]
        assert bands
        for name in bands:
            assert other[name] == pytest.approx(one[name], abs=0.3), name
    glide = buzz(110.0 * 2 ** np.linspace(0, 1, 24_000))
    one, other = both(glide)
    assert other["pitch_step"] == pytest.approx(one["pitch_step"], abs=0.02)
    assert other["pitch_rise"] == pytest.approx(12 / 150, abs=0.02)  # semitones per 10 ms


def test_every_20_ms_only_loudest_depends_on_the_gain() -> None:
    one, other = SLOW.compute(buzz()), SLOW.compute(buzz() * np.float32(2.0**-6))
    assert np.delete(np.abs(one - other), SLOW.names.index("loudest")).max() < 1e-3


def test_other_hops_are_refused() -> None:
    with pytest.raises(UsageError, match=r"functionals hop: 0.03; choose from: 0.01, 0.02"):
        Functionals(hop=0.03)


def test_numbers_of_this_version() -> None:
    """Stored features were computed by this version: where numbers change, ``version`` must, and then this file.

    ``python tests/reference/make_functionals.py`` writes it.
    """
    stored: Any = np.load(Path(__file__).parents[1] / "reference" / "functionals.npz")
    assert int(stored["version"]) == Functionals.version
    assert tuple(stored["names"]) == SPEC.names
    np.testing.assert_allclose(SPEC.compute(stored["wave"]), stored["values"], rtol=2e-3, atol=2e-3)


@pytest.mark.data
def test_a_cut_of_a_few_milliseconds_changes_little(data_folder: Path) -> None:
    """Against the spread over recordings, a shift of the frames' grid is small in nearly all dimensions."""
    files = sorted((data_folder / "ravdess" / "speech").glob("*/*.flac"))[::90]
    waves = [soundfile.read(file, dtype="float32")[0] for file in files]
    whole = np.stack([SPEC.compute(wave) for wave in waves])
    cut = np.stack([SPEC.compute(wave[77:]) for wave in waves])
    error = np.abs(cut - whole).mean(axis=0) / whole.std(axis=0)
    assert np.median(error) < 0.2
    assert (error < 0.5).mean() > 0.95
