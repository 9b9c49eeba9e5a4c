"""Voice activity: on sounds whose speech is known, and on mixtures of real clips with pauses and noise."""

from __future__ import annotations

import numpy as np
import pytest
from signals import RATE, mixture, noise, tone, voice

from unheard.audio import activity, decode
from unheard.audio.trim import trim


def found(truth_length: int, wave: np.ndarray) -> np.ndarray:
    """Frames of 10 ms that the detector calls speech."""
    mask = np.zeros(truth_length, bool)
    for start, end in activity.segments(wave):
        mask[round(100 * start) : round(100 * end)] = True
    return mask


def test_speech_between_silences_is_found_with_its_margins():
    gap = np.zeros(2 * RATE, np.float32)
    wave = np.concatenate([gap, voice(3.0), gap, voice(1.0, 220), gap])
    (first, first_end), (second, second_end) = activity.segments(wave)
    assert 1.85 <= first <= 2.05 and 4.9 <= first_end <= 5.25
    assert 6.85 <= second <= 7.05 and 7.9 <= second_end <= 8.25


@pytest.mark.parametrize("pitch", [85, 140, 230, 350])
@pytest.mark.parametrize("gain", [1e-3, 1.0])
def test_pitch_and_loudness_do_not_matter(pitch, gain):
    wave = np.concatenate([np.zeros(RATE), voice(2.0, pitch), np.zeros(RATE)]).astype(np.float32) * gain
    spoken = sum(end - start for start, end in activity.segments(wave))
    assert 1.8 <= spoken <= 2.4


@pytest.mark.parametrize(
    "wave",
    [
        noise(10),
        noise(10, 1),
        noise(10, 2),
        tone(10, 200),
        tone(10, 440),
        tone(10, 440, 0.5, 0.5),
        tone(10, 350, 0.15, 0.4) + 1e-2 * noise(10),
        noise(10) * (tone(10, 0.01, 0.4, 0.6) != 0),
        sum(tone(10, hertz, 1.0, 0.5) for hertz in (262, 330, 392)),
        sum(tone(10, 50 * h) / h for h in range(1, 20)),
        np.zeros(10 * RATE, np.float32),
        np.full(10 * RATE, 0.3, np.float32),
    ],
    ids=[
        "white", "pink", "brown", "low tone", "tone", "beeps", "dial", "bursts", "chords", "hum", "zeros", "flat"
    ],
)  # fmt: skip
def test_noise_tones_and_silence_are_no_speech(wave):
    assert activity.segments(wave) == []


def notes(pitches: list[list[float]], seconds: float, decay: float) -> np.ndarray:
    """Chords one after the other, each of tones with eight harmonics that fade."""
    t = np.arange(int(seconds * RATE)) / RATE
    chords = [
        sum(np.sin(2 * np.pi * h * hertz * t) / h for hertz in chord for h in range(1, 9))
        * np.exp(-decay * t)
        for chord in pitches
    ]
    return 0.05 * np.tile(np.concatenate(chords), 3)


SCALE = [[262], [294], [330], [349], [392], [440], [494], [523]]
CHORDS = [[262, 330, 392], [294, 370, 440], [220, 262, 330], [196, 247, 294]]


def vibrato(hertz: float, depth: float, harmonics: int) -> np.ndarray:
    """A tone of an instrument for four seconds: its pitch trembles, and its loudness swells."""
    t = np.arange(4 * RATE) / RATE
    phase = 2 * np.pi * np.cumsum(hertz * (1 + depth * np.sin(2 * np.pi * 5.5 * t))) / RATE
    return 0.05 * sum(np.sin(h * phase) / h for h in range(1, harmonics + 1)) * (0.7 + 0.3 * np.sin(3 * t))


def dissonance(*hertz: float) -> np.ndarray:
    """A chord that beats for four seconds, and swells."""
    t = np.arange(4 * RATE) / RATE
    return (
        0.05 * sum(np.sin(2 * np.pi * f * t + k) for k, f in enumerate(hertz)) * (0.7 + 0.3 * np.sin(3 * t))
    )


@pytest.mark.parametrize("noisy", [0.0, 0.01], ids=["clean", "noisy"])
@pytest.mark.parametrize(
    "wave",
    [
        notes(SCALE, 0.3, 4),
        notes([[hertz / 2 for hertz in chord] for chord in SCALE], 0.3, 4),
        notes(CHORDS, 0.4, 4),
        tone(3, 220) * (0.55 + 0.45 * tone(3, 3) / 0.1),
        notes([[82], [98], [110], [82]], 0.5, 3),
        vibrato(220, 0.01, 1),
        vibrato(220, 0.03, 20),
        vibrato(440, 0.015, 12),
        dissonance(261.6, 277.2, 293.7, 311.1),
        dissonance(220, 233.1),
    ],
    ids=[
        "melody",
        "low melody",
        "chords",
        "swelling tone",
        "bass",
        "flute",
        "cello",
        "violin",
        "cluster",
        "second",
    ],
)
def test_music_without_a_voice_is_no_speech(wave, noisy):
    wave = wave.astype(np.float32)
    assert activity.segments(wave + noisy * noise(len(wave) / RATE)[: len(wave)]) == []


@pytest.mark.parametrize("samples", [0, 1, 159, 160, 161, 799])
def test_very_short_recordings(samples):
    frames = activity.measure([np.ones(samples, np.float32)])
    assert len(frames.energy) == -(-samples // 160) and frames.seconds == samples / RATE
    assert activity.segments(frames) == []


@pytest.mark.parametrize("seconds", [0.3, 0.5, 0.66, 0.8, 0.81, 0.82, 1.0])
def test_a_word_shorter_than_the_detector_reaches(seconds):
    wave = voice(2.0, 120)[: int(seconds * RATE)]
    for start, end in activity.segments(wave + 1e-3 * noise(seconds)):
        assert 0 <= start < end <= seconds


def test_blocks_of_any_length_give_the_frames_of_the_whole():
    wave = (voice(2.0) + 0.05 * noise(2.0))[: 2 * RATE - 77]
    whole = activity.measure([wave])
    for lengths in ([1, 2, 3, 500, 5000], [160] * 150, [30_000]):
        blocks = np.split(wave, np.cumsum(lengths)[np.cumsum(lengths) < len(wave)])
        parts = activity.measure(blocks)
        for name in ("energy", "level", "periodicity", "spectrum"):
            np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-3, atol=1e-4)
        assert activity.segments(parts) == activity.segments(whole)


def test_levels_and_periodicity_are_what_they_say():
    frames = activity.measure([tone(1.0, 1000) * np.float32(10)])  # a sine of full scale: -3.01 dB
    np.testing.assert_allclose(frames.level[5:-5], -3.01, atol=0.1)
    np.testing.assert_allclose(frames.energy[5:-5], -3.01, atol=0.1)
    assert activity.measure([tone(1.0, 6000)]).energy[5:-5].max() < -60
    assert np.median(activity.measure([voice(1.0, 150)]).periodicity) > 0.9
    assert np.median(activity.measure([noise(5.0)]).periodicity) < 0.5


@pytest.mark.data
def test_mixtures_of_real_clips_pauses_and_noise(data_folder):
    """Missed: share of the clips' frames. False: share of pauses' frames beyond the margins at a clip's ends."""
    folders = ("ravdess/speech", "nemo/samples", "emodb/wav")
    missed: dict[int, list[float]] = {60: [], 10: [], 5: []}
    false: dict[int, list[float]] = {60: [], 10: [], 5: []}
    for folder in folders:
        names = sorted(path for path in (data_folder / folder).rglob("*.*") if path.is_file())
        picked = np.random.default_rng(1).choice(len(names), 10, replace=False)
        wave, truth = mixture([trim(decode.load(names[i]).wave, 30) for i in picked], seed=1)
        near = np.convolve(truth, np.ones(61), "same") > 0.5  # 0.3 s on either side
        for slope in (0, 1):
            for snr, misses in missed.items():
                power = np.mean(wave[np.repeat(truth, 160)] ** 2)
                added = noise(len(wave) / RATE, slope) * 10 * np.sqrt(power) * 10 ** (-snr / 20)
                mask = found(len(truth), wave + added)
                misses.append(float(np.mean(~mask[truth])))
                false[snr].append(float(np.mean(mask[~near])))
    assert np.mean(missed[60]) < 0.05 and np.mean(missed[10]) < 0.08 and np.mean(missed[5]) < 0.12
    assert max(np.mean(rates) for rates in false.values()) < 0.01


@pytest.mark.data
def test_silence_at_the_ends_of_real_clips_is_left_out(data_folder):
    for name in ("Actor_01/03-01-01-01-01-01-01", "Actor_14/03-01-05-02-02-01-14"):
        wave = decode.load(data_folder / "ravdess" / "speech" / f"{name}.flac").wave
        spoken = activity.segments(wave)
        assert spoken[0][0] > 0.3 and spoken[-1][1] < len(wave) / RATE - 0.3
        assert 1.0 < sum(end - start for start, end in spoken) < 3.5
