"""Noise at a stated ratio: measured on what comes out, by other means than it was made."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import signals

from unheard.audio.conditions import babble, clipped, coloured, realised_snr, white
from unheard.audio.decode import load
from unheard.audio.levels import active_power
from unheard.errors import AudioError, UsageError

RATE = signals.RATE
SPEECH = signals.voice(2.0)
OTHERS = [signals.voice(seconds, pitch) for seconds, pitch in ((0.7, 90), (1.9, 210), (3.1, 170), (2.3, 120))]


def chance(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def with_pauses(wave: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros(RATE, np.float32), wave, np.full(RATE, 1e-4, np.float32)])


def by_hand(clean: np.ndarray, noisy: np.ndarray) -> float:
    """Ratio in dB as the definition says, frame by frame in plain Python."""
    frames = [clean[k : k + 400].astype(float) for k in range(0, len(clean) - 399, 400)]
    power = [sum(frame**2) / 400 for frame in frames]
    active = [p for p in power if 10 * np.log10(max(p, 1e-30) / max(power)) >= -30]
    noise = np.mean((noisy.astype(float) - clean) ** 2)
    return float(10 * np.log10(np.mean(active) / noise))


@pytest.mark.parametrize("snr", [30, 20, 10, 5, 0, -5])
@pytest.mark.parametrize(
    "wave", [SPEECH, with_pauses(SPEECH), with_pauses(1e-3 * SPEECH)], ids=["", "pauses", "soft"]
)
def test_the_ratio_is_realised_on_the_output(wave: np.ndarray, snr: float) -> None:
    for noisy in (
        white(wave, RATE, chance(), snr=snr),
        *(coloured(wave, RATE, chance(seed), snr=snr) for seed in range(4)),
        babble(wave, RATE, chance(), snr=snr, voices=OTHERS),
        babble(wave, RATE, chance(), snr=snr, voices=OTHERS[:1]),
    ):
        assert noisy.dtype == np.float32 and noisy.shape == wave.shape
        assert by_hand(wave, noisy) == pytest.approx(snr, abs=0.01)
        assert realised_snr(wave, noisy, RATE) == pytest.approx(by_hand(wave, noisy), abs=1e-6)


def test_pauses_of_the_recording_change_no_ratio_of_its_speech() -> None:
    """Over the whole recording the ratio would fall by the share of pauses."""
    assert active_power(with_pauses(SPEECH), RATE) == pytest.approx(active_power(SPEECH, RATE), rel=0.01)
    assert np.mean(with_pauses(SPEECH) ** 2) < 0.6 * np.mean(SPEECH**2)


def test_white_noise_is_white_gaussian_and_new_at_every_draw() -> None:
    noise = white(SPEECH, RATE, chance(), snr=0).astype(float) - SPEECH
    spectrum = np.abs(np.fft.rfft(noise)) ** 2
    bands = [band.mean() for band in np.array_split(spectrum, 8)]
    assert max(bands) / min(bands) < 1.2
    assert np.mean((noise / noise.std()) ** 4) == pytest.approx(3, abs=0.1)
    again = white(SPEECH, RATE, chance(), snr=0).astype(float) - SPEECH
    other = white(SPEECH, RATE, chance(1), snr=0).astype(float) - SPEECH
    assert np.array_equal(noise, again)
    assert abs(np.corrcoef(noise, other)[0, 1]) < 0.02


def noises(count: int, length: int, rate: int = RATE) -> list[np.ndarray]:
    """Coloured noise alone, of power 1."""
    wave = np.full(length, 1e-3, np.float32)
    found = [coloured(wave, rate, chance(seed), snr=-100).astype(float) - wave for seed in range(count)]
    return [noise / noise.std() for noise in found]


def in_bands(noise: np.ndarray, count: int) -> np.ndarray:
    """Mean power in dB in equally wide bands of the mel scale, by the discrete Fourier transform."""
    mel = 2595 * np.log10(1 + np.fft.rfftfreq(len(noise), 1 / RATE) / 700)
    power = np.abs(np.fft.rfft(noise)) ** 2
    edges = np.linspace(0, mel[-1], count + 1)
    return np.array(
        [10 * np.log10(power[(mel >= low) & (mel < high)].mean()) for low, high in pairwise(edges)]
    )


def steadiness(noise: np.ndarray) -> float:
    """Deviation in dB of the power of pieces of a tenth of a second."""
    return float(
        (10 * np.log10((noise[: len(noise) // 1600 * 1600].reshape(-1, 1600) ** 2).mean(axis=1))).std()
    )


def test_coloured_noise_is_the_same_for_the_same_chance_alone() -> None:
    first, again, other = (coloured(SPEECH, RATE, chance(seed), snr=5) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert abs(np.corrcoef(first.astype(float) - SPEECH, other.astype(float) - SPEECH)[0, 1]) < 0.1
    # The ratio is a gain: it changes nothing of what is added.
    louder = coloured(SPEECH, RATE, chance(3), snr=-15).astype(float) - SPEECH
    np.testing.assert_allclose(louder, 10 * (first.astype(float) - SPEECH), atol=1e-5)


def test_coloured_noise_has_a_smooth_spectrum_of_its_own_at_every_draw() -> None:
    curves = np.stack([in_bands(noise, 24) for noise in noises(200, 2 * RATE)])
    curves -= curves.mean(axis=1, keepdims=True)
    spread = curves.std(axis=0)
    assert spread.min() > 3 and spread.max() < 9
    assert np.abs(curves.mean(axis=0)).max() < 2  # no band is preferred
    across = np.corrcoef(curves.T)
    assert np.diag(across, 1).min() > 0.5  # neighbours go together
    assert np.abs(np.diag(across, 12)).max() < 0.4  # bands far apart do not
    # White noise has none of it.
    flat = in_bands(np.random.default_rng(0).standard_normal(2 * RATE), 24)
    assert flat.std() < 1 < 2 < np.median(curves.std(axis=1))


def test_half_of_the_coloured_noises_rise_and_fall() -> None:
    found = np.array([steadiness(noise) for noise in noises(200, 3 * RATE)])
    steady = found < 2
    assert 80 <= steady.sum() <= 120
    assert np.median(found[~steady]) > 4
    assert np.median(found[steady]) < 1.2


@pytest.mark.parametrize("rate", [8_000, 32_000, 44_100])
@pytest.mark.parametrize("length", [1, 2, 17, 15_991])
def test_coloured_noise_has_any_length_and_rate(rate: int, length: int) -> None:
    for noise in noises(6, length, rate) if length > 1 else []:
        assert noise.shape == (length,) and np.isfinite(noise).all()
    one = np.full(length, 0.5, np.float32)
    assert realised_snr(one, coloured(one, rate, chance(), snr=0), rate) == pytest.approx(0, abs=0.01)


def test_every_voice_of_a_babble_is_heard_at_equal_power() -> None:
    """Voices that do not overlap in frequency: each band of the babble has the power of its voice."""
    pitches = (150.0, 650.0, 1700.0, 3900.0)
    voices = [
        level * signals.tone(2.0, hertz) for hertz, level in zip(pitches, (1, 0.01, 5, 0.3), strict=True)
    ]
    noise = babble(SPEECH, RATE, chance(), snr=0, voices=voices).astype(float) - SPEECH
    power = np.abs(np.fft.rfft(noise * np.hanning(len(noise)))) ** 2
    hertz = np.fft.rfftfreq(len(noise), 1 / RATE)
    found = [power[np.abs(hertz - pitch) < 40].sum() for pitch in pitches]
    assert max(found) / min(found) < 1.01
    assert sum(found) / power.sum() > 0.99


def test_a_short_voice_is_repeated_and_a_long_one_cut_at_random_places() -> None:
    short, long = OTHERS[0][:3000], OTHERS[2]
    noise = babble(SPEECH, RATE, chance(), snr=0, voices=[short]).astype(float) - SPEECH
    assert np.allclose(noise[3000:], noise[:-3000], atol=1e-6)
    places = set()
    for seed in range(5):
        noise = babble(SPEECH, RATE, chance(seed), snr=0, voices=[long]).astype(float) - SPEECH
        places.add(
            int(
                np.argmax(
                    [np.dot(noise, np.resize(np.roll(long, -k), len(noise))) for k in range(0, 49600, 800)]
                )
            )
        )
    assert len(places) > 2


def test_samples_beyond_full_scale_are_cut_and_counted() -> None:
    wave, count = clipped(np.array([0.5, -1.5, 1.0, 1.01, -1.0], np.float32))
    assert count == 2
    assert wave.tolist() == [0.5, -1.0, 1.0, 1.0, -1.0]
    assert clipped(white(9 * SPEECH, RATE, chance(), snr=-5))[1] > 100


@pytest.mark.parametrize(
    "silent", [np.zeros(16_000, np.float32), np.zeros(0, np.float32)], ids=["zeros", "empty"]
)
def test_what_is_silent_has_no_ratio(silent: np.ndarray) -> None:
    with pytest.raises(AudioError, match="is silent"):
        white(silent, RATE, chance(), snr=10)
    with pytest.raises(AudioError, match="is silent"):
        coloured(silent, RATE, chance(), snr=10)
    with pytest.raises(AudioError, match="a voice of the babble is silent"):
        babble(SPEECH, RATE, chance(), snr=10, voices=[OTHERS[0], silent])


@pytest.mark.parametrize("voices", [[], OTHERS + OTHERS[:1]], ids=["nobody", "five"])
def test_a_babble_has_one_to_four_voices(voices: list[np.ndarray]) -> None:
    with pytest.raises(UsageError, match=f"1 to 4 voices, found {len(voices)}"):
        babble(SPEECH, RATE, chance(), snr=10, voices=voices)


def test_a_recording_shorter_than_a_frame_is_one_frame() -> None:
    short = SPEECH[:100]
    assert active_power(short, RATE) == pytest.approx(np.mean(short.astype(float) ** 2))
    assert by_hand(
        np.resize(short, 400), np.resize(white(short, RATE, chance(), snr=5), 400)
    ) == pytest.approx(5, abs=0.5)


@pytest.mark.data
def test_real_clips_with_their_pauses_get_the_ratio_asked_for(data_folder: Path) -> None:
    files = sorted((data_folder / "ravdess" / "speech").rglob("*.flac"))[::120]
    clips = [load(file).wave for file in files]
    for number, clip in enumerate(clips):
        voices = [clips[(number + k) % len(clips)] for k in (1, 2, 3, 4)]
        for snr in (20, 5):
            for noisy in (
                white(clip, RATE, chance(number), snr=snr),
                babble(clip, RATE, chance(number), snr=snr, voices=voices),
            ):
                assert by_hand(clip, noisy) == pytest.approx(snr, abs=0.1)
