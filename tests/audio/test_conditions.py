"""Noise at a stated ratio: measured on what comes out, by other means than it was made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import signals

from unheard.audio.conditions import active_power, babble, clipped, realised_snr, white
from unheard.audio.decode import load
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
