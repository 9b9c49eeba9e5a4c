"""Noise added to a recording at a stated signal-to-noise ratio: white noise, or the babble of other speakers.

Waveforms are (n,) float32, full scale ±1. The ratio is that of two mean squares: of the recording over its active
frames (25 ms, within 30 dB of the loudest), and of the noise over the whole recording. Noise that a recording
already holds counts as its speech. What is returned may exceed full scale: ``clipped`` cuts it, as a file of
integers would, and says how much that was.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unheard.errors import AudioError, UsageError

FRAME = 0.025  # seconds
ACTIVE = 30.0  # dB below the loudest frame
VOICES = 4  # in a babble, at most
TRIES = 20  # places in the voices, until somebody is heard

Wave = NDArray[np.float32]


def white(wave: Wave, rate: int, rng: np.random.Generator, *, snr: float) -> Wave:
    """Add white Gaussian noise, new at every sample.

    Parameters
    ----------
    wave, rate : (n,) samples, and how many a second.
    rng : where the noise comes from.
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


def babble(wave: Wave, rate: int, rng: np.random.Generator, *, snr: float, voices: Sequence[Wave]) -> Wave:
    """Add other people's speech: each voice from a random place on, over and over, at equal power, summed.

    Parameters
    ----------
    wave, rate : (n,) samples, and how many a second.
    rng : where the places come from.
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
    """Ratio in dB that an output has, with what is not in the clean recording for noise; infinite where all is."""
    noise = float(np.mean((noisy.astype(np.float64) - clean) ** 2))
    return float("inf") if noise == 0 else float(10 * np.log10(active_power(clean, rate) / noise))


def clipped(wave: Wave) -> tuple[Wave, int]:
    """Return the waveform within [-1, 1], and the number of samples that were not."""
    return np.clip(wave, -1, 1), int(np.count_nonzero(np.abs(wave) > 1))


def active_power(wave: Wave, rate: int) -> float:
    """Mean square over the active frames; 0 where all is silent.

    Frames stand side by side. Samples after the last whole one count in none, unless there is no whole one.
    """
    length = min(round(FRAME * rate), len(wave))
    if length == 0:
        return 0.0
    count = len(wave) // length
    frames = wave[: count * length].reshape(count, length)
    power = np.einsum("fs,fs->f", frames, frames, dtype=np.float64) / length
    loudest = power.max()
    return float(power[power >= loudest * 10 ** (-ACTIVE / 10)].mean())


def _from(voice: Wave, first: int, length: int) -> Wave:
    """So many samples of a voice from one place on, beginning again where it ends."""
    return np.resize(np.roll(voice, -first), length)


def _mixed(wave: Wave, noise: NDArray[np.float64], rate: int, snr: float) -> Wave:
    speech = active_power(wave, rate)
    if speech <= 0:
        raise AudioError("the recording is silent, so noise has no ratio to it; leave it out")
    power = float(np.mean(noise**2))
    if power <= 0:
        raise AudioError("the babble is silent wherever the recording lasts; take other voices")
    gain = np.sqrt(speech / (power * 10 ** (snr / 10)))
    return np.asarray(wave + gain * noise, dtype=np.float32)
