"""Noise added to a recording at a stated signal-to-noise ratio: white, pink, coloured, recorded, or babble.

Waveforms are (n,) float32, full scale ±1. The ratio is that of two mean squares: of the recording over its active
frames (25 ms, within 30 dB of the loudest), and of the noise over the whole recording. Noise that a recording
already holds counts as its speech. What is returned may exceed full scale: ``clipped`` cuts it, as a file of
integers would, and says how much that was.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unheard.audio.levels import active_power
from unheard.errors import AudioError, UsageError

VOICES = 4  # in a babble, at most
TRIES = 20  # places in the voices, until somebody is heard
LOWEST = 20.0  # Hz, of pink noise
RATIOS = (-20, 60)  # dB, least and greatest that commands and recipes can ask for
POINTS, DEVIATION = 8, 6.5  # of a spectrum, over the mel scale, and in dB
SYLLABLES, SWING = 5.0, 7.0  # levels a second of an envelope, and their deviation in dB

Wave = NDArray[np.float32]


def white(wave: Wave, rate: int, rng: np.random.Generator, *, snr: float) -> Wave:
    """Add white Gaussian noise, new at every sample.

    Parameters
    ----------
    wave, rate : (n,) samples, and how many a second.
    rng : generator of the noise.
    snr : dB.

    Returns
    -------
    (n,) float32, not clipped.

    Raises
    ------
    AudioError
        Where the recording is empty or silent: no noise has a ratio to it.
    """
    return _mixed(wave, rng.standard_normal(len(wave)), rate, snr)


def pink(wave: Wave, rate: int, rng: np.random.Generator, *, snr: float) -> Wave:
    """Add Gaussian noise of equal power in every octave from 20 Hz on.

    Parameters, result and errors are those of :func:`white`.
    """
    length = max(1, len(wave))
    hertz = np.fft.rfftfreq(length, 1 / rate)
    gains = np.where(hertz >= LOWEST, 1 / np.sqrt(np.maximum(hertz, LOWEST)), 0)
    noise = np.fft.irfft(gains * np.fft.rfft(rng.standard_normal(length)), length)
    return _mixed(wave, noise[: len(wave)], rate, snr)


def recorded(wave: Wave, rate: int, rng: np.random.Generator, *, snr: float, noise: Wave) -> Wave:
    """Add recorded noise, from a random place on, and over again from its beginning.

    ``noise`` is (m,) samples at the same rate. The rest is that of :func:`white`.

    Raises
    ------
    AudioError
        Where the recording is silent, or the noise wherever the recording lasts.
    """
    part = _from(noise, int(rng.integers(len(noise))), len(wave))
    return _mixed(wave, part.astype(np.float64), rate, snr)


def coloured(wave: Wave, rate: int, rng: np.random.Generator, *, snr: float) -> Wave:
    """Add Gaussian noise of a random spectrum that, half of the time, rises and falls as people's talk does.

    The spectrum is a curve in dB, drawn at eight points of the mel scale (deviation 6.5 dB) and straight between
    them. The envelope is one too, drawn five times a second (deviation 7 dB), a half cosine between levels.

    Parameters
    ----------
    wave, rate : (n,) samples, and how many a second.
    rng : generator of spectrum, noise and envelope.
    snr : dB.

    Returns
    -------
    (n,) float32, not clipped.

    Raises
    ------
    AudioError
        Where the recording is empty or silent: no noise has a ratio to it.
    """
    length = max(1, len(wave))  # nothing has no spectrum
    gains = _curve(np.fft.rfftfreq(length, 1 / rate), rate, rng)
    noise = np.fft.irfft(gains * np.fft.rfft(rng.standard_normal(length)), length)
    if rng.random() < 0.5:
        noise *= _envelope(length, rate, rng)
    return _mixed(wave, noise[: len(wave)], rate, snr)


def babble(wave: Wave, rate: int, rng: np.random.Generator, *, snr: float, voices: Sequence[Wave]) -> Wave:
    """Add other people's speech: each voice from a random place on, over and over, at equal power, summed.

    Parameters
    ----------
    wave, rate : (n,) samples, and how many a second.
    rng : generator of the places.
    snr : dB.
    voices : recordings of one to four other speakers, at the same rate. Their active power is made equal.

    Returns
    -------
    (n,) float32, not clipped.

    Raises
    ------
    AudioError
        Where the recording or a voice is empty or silent.
    UsageError
        Where there is no voice, or more than four.
    """
    if not 1 <= len(voices) <= VOICES:
        raise UsageError(f"a babble takes 1 to {VOICES} voices, found {len(voices)}")
    levels = [active_power(voice, rate) for voice in voices]
    if min(levels) <= 0:
        raise AudioError("a voice of the babble is silent; leave that recording out")
    for _ in range(TRIES):
        noise = np.zeros(len(wave))
        for voice, level in zip(voices, levels, strict=True):
            noise += _from(voice, int(rng.integers(len(voice))), len(wave)) / np.sqrt(level)
        if noise.any():  # a short recording may fall into everybody's digital silence
            break
    return _mixed(wave, noise, rate, snr)


def realised_snr(clean: Wave, noisy: Wave, rate: int) -> float:
    """Return the ratio in dB of the clean recording to the rest of an output; infinite where there is no rest."""
    noise = float(np.mean((noisy.astype(np.float64) - clean) ** 2))
    return float("inf") if noise == 0 else float(10 * np.log10(active_power(clean, rate) / noise))


def clipped(wave: Wave) -> tuple[Wave, int]:
    """Return the waveform within [-1, 1], and the number of samples that were not."""
    return np.clip(wave, -1, 1), int(np.count_nonzero(np.abs(wave) > 1))


def _curve(hertz: NDArray[np.floating], rate: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return amplitudes of a random smooth spectrum at some frequencies (mel scale of O'Shaughnessy 1987)."""
    mel, top = (2595 * np.log10(1 + at / 700) for at in (hertz, rate / 2))
    levels = rng.normal(0, DEVIATION, POINTS)
    return _amplitude(np.interp(mel, np.linspace(0, top, POINTS), levels))


def _envelope(length: int, rate: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return amplitudes of a random slow envelope, one a sample, beginning anywhere between two levels."""
    part, last = np.modf(rng.random() + np.arange(length) * SYLLABLES / rate)
    before = last.astype(np.int64)
    levels = rng.normal(0, SWING, before[-1] + 2)
    rise = (1 - np.cos(np.pi * part)) / 2
    return _amplitude(levels[before] * (1 - rise) + levels[before + 1] * rise)


def _amplitude(decibels: NDArray[np.float64]) -> NDArray[np.float64]:
    amplitude: NDArray[np.float64] = 10 ** (decibels / 20)
    return amplitude


def _from(voice: Wave, first: int, length: int) -> Wave:
    """Return so many samples of a voice from one place on, beginning again where it ends."""
    return np.resize(np.roll(voice, -first), length)


def _mixed(wave: Wave, noise: NDArray[np.float64], rate: int, snr: float) -> Wave:
    speech = active_power(wave, rate)
    if speech <= 0:
        raise AudioError("the recording is silent, so noise has no ratio to it; leave it out")
    power = float(np.mean(noise**2))
    if power <= 0:
        raise AudioError("the noise is silent wherever the recording lasts; take another")
    gain = np.sqrt(speech / (power * 10 ** (snr / 10)))
    return np.asarray(wave + gain * noise, dtype=np.float32)
