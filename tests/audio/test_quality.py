"""What is measured of a recording is what was put into it."""

from __future__ import annotations

import numpy as np
import pytest
import soxr
from signals import RATE, noise, voice

from unheard.audio import decode
from unheard.audio.quality import ENDS, Quality, outside, quality, ranges


def spoken(pause: float = 1.0) -> np.ndarray:
    gap = np.zeros(int(pause * RATE), np.float32)
    return np.concatenate([gap, voice(3.0), gap])


@pytest.mark.parametrize("snr", [30, 20, 10, 5])
@pytest.mark.parametrize("slope", [0, 1])
def test_snr(snr, slope):
    speech = voice(3.0)
    level = np.sqrt(np.mean(speech**2)) * 10 ** (-snr / 20)
    wave = spoken() + noise(5.0, slope) * 10 * level
    assert quality(wave.astype(np.float32)).snr == pytest.approx(snr, abs=1.5)


def test_snr_of_clean_of_pauseless_and_of_wordless_recordings():
    assert quality(spoken() + 1e-4 * noise(5.0)).snr == 60
    pauseless = quality(voice(3.0) + 0.02 * noise(3.0))
    assert pauseless.speech > 0.95 and 5 < pauseless.snr < 40
    assert quality(noise(3.0)).snr is None


@pytest.mark.parametrize(("rate", "bandwidth"), [(6000, 3000), (8000, 4000), (11_025, 5500), (16_000, 8000)])
def test_bandwidth(rate, bandwidth):
    wave = (spoken() + noise(5.0, 1, seed=2) * 0.05).astype(np.float32)
    heard = soxr.resample(soxr.resample(wave, RATE, rate), rate, RATE).astype(np.float32)
    assert quality(heard).bandwidth == pytest.approx(bandwidth, abs=250)


@pytest.mark.parametrize("pause", [0.0, 1.5, 6.0])
def test_share_of_speech_and_duration(pause):
    wave = spoken(pause)
    found = quality(wave)
    assert found.seconds == len(wave) / RATE
    assert found.speech == pytest.approx(3.0 / found.seconds, abs=0.35 / found.seconds)


def test_nothing_at_all():
    for wave in (np.empty(0, np.float32), np.zeros(10, np.float32), np.zeros(RATE, np.float32)):
        found = quality(wave)
        assert (found.bandwidth, found.snr, found.speech) == (0.0, None, 0.0)


def test_ranges_are_percentiles_with_open_ends():
    clips = [Quality(4000.0 + k, 20.0 + k, 0.5, 1.0 + k) for k in range(101)]
    assert ranges([*clips, Quality(4000.0, None, 0.5, 1.0)])["snr"] == (21.0, None)
    assert ranges(clips) == {
        "bandwidth": (4001.0, None), "snr": (21.0, None), "speech": (0.5, None), "seconds": (2.0, 100.0)
    }  # fmt: skip
    with pytest.raises(ValueError, match="no training clip"):
        ranges([])


def test_what_lies_outside():
    domain = {"bandwidth": (7000.0, None), "snr": (20.0, None), "speech": (0.5, None), "seconds": (1.0, 5.0)}
    assert set(domain) == set(ENDS)
    assert outside(Quality(7000.0, 20.0, 0.5, 5.0), domain) == ()
    assert outside(Quality(8000.0, 60.0, 1.0, 1.0), domain) == ()
    assert outside(Quality(4000.0, 10.0, 0.2, 0.5), domain) == (
        "narrower",
        "noisier",
        "little_speech",
        "shorter",
    )
    assert outside(Quality(8000.0, 30.0, 0.7, 5.5), domain) == ("longer",)
    assert outside(Quality(8000.0, None, 0.0, 3.0), domain) == ("no_speech",)
    assert outside(Quality(4000.0, 10.0, 0.2, 0.5), {}) == ()


@pytest.mark.data
def test_real_clips_with_noise_and_over_a_telephone(data_folder):
    paths = sorted((data_folder / "ravdess" / "speech").rglob("*.flac"))[::145]
    waves = [decode.load(path).wave for path in paths]
    clean = [quality(wave) for wave in waves]
    assert min(clip.bandwidth for clip in clean) >= 7500
    assert min(clip.snr for clip in clean) > 20 and min(clip.speech for clip in clean) > 0.3
    domain = ranges(clean)
    assert sum(bool(outside(clip, domain)) for clip in clean) <= 5
    for wave in waves:
        telephone = soxr.resample(soxr.resample(wave, RATE, 8000), 8000, RATE)
        assert "narrower" in outside(quality(telephone.astype(np.float32)), domain)
        added = noise(len(wave) / RATE) * np.sqrt(np.mean(wave**2))
        assert "noisier" in outside(quality(wave + added[: len(wave)] * 3), domain)
