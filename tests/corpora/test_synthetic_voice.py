"""The synthesiser does what its parameters say: measured on the waveform, by other means than it was made with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from unheard.corpora.synthetic.people import EMOTIONS, manner, person
from unheard.corpora.synthetic.phonemes import SENTENCES, Sound
from unheard.corpora.synthetic.room import Room, recorded
from unheard.corpora.synthetic.voice import RATE, Manner, Voice, speak

#: A long steady vowel, without accents.
VOWEL = [Sound(0.8, (700.0, 1150.0, 2450.0))]
FLAT = Manner(span=-6.0, rise=1.0)
STILL = Voice(pitch=150.0, tract=(1.0,) * 8, breath=-80.0, jitter=0.0, shimmer=0.0)


def say(sounds=VOWEL, voice=STILL, how=FLAT, seed=0):
    return speak(sounds, voice, how, np.random.default_rng(seed))


def middle(wave, seconds=0.4):
    centre, half = len(wave) // 2, int(seconds * RATE / 2)
    return wave[centre - half : centre + half].astype(np.float64)


def pitch_of(wave):
    """Highest peak of the autocorrelation between 60 and 600 Hz, refined by a parabola."""
    x = middle(wave)
    r = np.correlate(x, x, "full")[len(x) - 1 :]
    lags = np.arange(RATE // 600, RATE // 60)
    lag = lags[r[lags].argmax()]
    a, b, c = r[lag - 1 : lag + 2]
    return RATE / (lag + 0.5 * (a - c) / (a - 2 * b + c))


def spectrum(wave):
    x = middle(wave)
    return np.fft.rfftfreq(len(x), 1 / RATE), np.abs(np.fft.rfft(x * np.hanning(len(x)))) ** 2


def balance(wave, split=1500.0):
    """Energy above the split over energy below, dB."""
    frequency, power = spectrum(wave)
    return 10 * np.log10(power[frequency > split].sum() / power[frequency <= split].sum())


@pytest.mark.parametrize("hertz", [90.0, 150.0, 260.0])
def test_pitch_is_what_was_asked(hertz):
    assert pitch_of(say(voice=replace(STILL, pitch=hertz))) == pytest.approx(hertz, rel=0.02)


def test_manner_raises_the_pitch_in_semitones():
    ratio = pitch_of(say(how=replace(FLAT, pitch=5.0))) / pitch_of(say())
    assert 12 * np.log2(ratio) == pytest.approx(5.0, abs=0.1)


def test_formants_stand_where_the_targets_are():
    """A low voice samples the envelope finely: its harmonics peak at the formants."""
    frequency, power = spectrum(say(voice=replace(STILL, pitch=60.0)))
    for target, low, high in ((700, 400, 900), (1150, 950, 1500), (2450, 2000, 2900)):
        band = (frequency > low) & (frequency < high)
        assert frequency[band][power[band].argmax()] == pytest.approx(target, abs=65)


def test_a_shorter_tract_moves_formants_up():
    def first_formant(factor):
        frequency, power = spectrum(say(voice=replace(STILL, pitch=60.0, tract=(factor,) * 8)))
        band = (frequency > 400) & (frequency < 1000)
        return frequency[band][power[band].argmax()]

    assert first_formant(1.2) / first_formant(1.0) == pytest.approx(1.2, abs=0.1)


def test_energy_is_in_decibels():
    levels = [20 * np.log10(middle(say(how=replace(FLAT, energy=e))).std()) for e in (0.0, 6.0)]
    assert levels[1] - levels[0] == pytest.approx(6.0, abs=0.01)


def test_brightness_and_breath_raise_the_upper_half():
    plain = balance(say())
    assert balance(say(how=replace(FLAT, brightness=6.0))) > plain + 3
    assert balance(say(how=replace(FLAT, brightness=-6.0))) < plain - 1
    breathy = say(voice=replace(STILL, breath=0.0))
    assert balance(breathy, 4000) > balance(say(), 4000) + 3


def test_rate_shortens_and_roughness_blurs():
    assert len(say(how=replace(FLAT, rate=0.3))) < 0.85 * len(say())
    voice = replace(STILL, jitter=0.01, shimmer=0.05)

    def periodicity(how):
        x = middle(say(voice=voice, how=how))
        r = np.correlate(x, x, "full")[len(x) - 1 :]
        return r[RATE // 200 : RATE // 100].max() / r[0]

    assert periodicity(replace(FLAT, roughness=2.0)) < periodicity(FLAT) - 0.02


def test_aliasing_is_low():
    """Between the harmonics of a steady voice there is next to nothing."""
    frequency, power = spectrum(say(voice=replace(STILL, pitch=200.0), how=replace(FLAT, span=-20.0)))
    distance = np.abs(frequency / 200.0 - np.round(frequency / 200.0))
    audible = (frequency > 100) & (frequency < 4000)
    between = power[audible & (distance > 0.3)].mean()
    assert 10 * np.log10(between / power[audible & (distance < 0.1)].mean()) < -30


@pytest.mark.parametrize("sentence", sorted(SENTENCES))
def test_sentences_are_finite_and_begin_and_end_in_silence(sentence):
    wave = say(SENTENCES[sentence], Voice(), Manner())
    assert wave.dtype == np.float32 and np.isfinite(wave).all()
    assert 1.2 < len(wave) / RATE < 2.5
    assert np.abs(wave[: RATE // 20]).max() < 1e-3 and np.abs(wave[-RATE // 50 :]).max() < 1e-2
    assert 0.1 < np.abs(wave).max() < 0.9


def test_a_sibilant_hisses_above_3_khz():
    hiss = speak(
        [*VOWEL, Sound(0.4, (320, 1650, 2600), 0.0, 0.0, 0.55, 6000, 2500)],
        STILL,
        FLAT,
        np.random.default_rng(0),
    )
    end = hiss[int(0.95 * RATE) : int(1.2 * RATE)].astype(np.float64)
    power = np.abs(np.fft.rfft(end)) ** 2
    frequency = np.fft.rfftfreq(len(end), 1 / RATE)
    assert power[frequency > 3000].sum() > 10 * power[frequency < 3000].sum()


def test_a_dry_quiet_room_changes_nothing_but_the_floor():
    wave = say()
    heard = recorded(wave, RATE, Room(low_cut=0.0, noise=-120.0), np.random.default_rng(0))
    assert heard.shape == wave.shape
    np.testing.assert_allclose(heard, wave, atol=1e-4)


def test_a_room_has_gain_noise_and_reverberation():
    wave = say()
    loud = recorded(wave, RATE, Room(gain=6.0, low_cut=0.0, noise=-120.0), np.random.default_rng(0))
    np.testing.assert_allclose(loud, wave * 10 ** (6 / 20), atol=1e-4)
    silence = recorded(np.zeros(RATE, np.float32), RATE, Room(noise=-50.0), np.random.default_rng(0))
    assert 20 * np.log10(silence.std()) == pytest.approx(-50, abs=0.1)
    click = np.zeros(RATE, np.float32)
    click[0] = 1.0
    echo = recorded(
        click, RATE, Room(echo=0.5, reverberation=0.3, low_cut=0.0, noise=-150.0), np.random.default_rng(0)
    )
    assert np.sqrt((echo[1:] ** 2).sum()) == pytest.approx(0.5, rel=0.05)
    early, late = echo[100:1000].std(), echo[3800:4700].std()
    assert 20 * np.log10(early / late) == pytest.approx(60 * (3700 / RATE) / 0.3, abs=3)


def test_strengths_scale_what_they_name_and_nothing_else():
    one, two = (person(actor, seed=0, identity=0.0, style=1.0) for actor in (1, 2))
    assert one.voice == two.voice and replace(one.room, echo_seed=0) == replace(two.room, echo_seed=0)
    assert not np.allclose(one.style["happy"], two.style["happy"])
    plain = person(1, seed=0, identity=1.0, style=0.0)
    assert all((offsets == 0).all() for offsets in plain.style.values())
    assert plain.voice == person(1, seed=0, identity=1.0, style=2.0).voice != one.voice
    man, woman = (person(actor, seed=0, identity=1.0, style=0.0).voice for actor in (1, 2))
    assert man.pitch < woman.pitch


def test_without_emotion_and_style_the_label_changes_nothing():
    someone = person(1, seed=0, identity=1.0, style=0.0)
    drawn = {
        manner(someone, label, intensity, emotion=0.0, rng=np.random.default_rng(5))
        for label in EMOTIONS
        for intensity in ("normal", "strong")
    }
    assert len(drawn) == 1
    shared = manner(someone, "angry", "strong", emotion=1.0, rng=np.random.default_rng(5))
    assert shared.energy > drawn.pop().energy + 5
