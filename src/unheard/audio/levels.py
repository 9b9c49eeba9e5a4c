"""Recordings at another level, overdriven, or at another speed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unheard.audio.resample import to_rate
from unheard.errors import AudioError

FRAME = 0.025  # seconds
ACTIVE = 30.0  # dB below the loudest frame

Wave = NDArray[np.float32]


def active_power(wave: Wave, rate: int) -> float:
    """Return the mean square over the active frames; 0 where all is silent.

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


def at_power_of(wave: Wave, other: Wave, rate: int) -> Wave:
    """Return a waveform at the active power of another one.

    Raises
    ------
    AudioError
        One of them is silent.
    """
    power, wanted = active_power(wave, rate), active_power(other, rate)
    if min(power, wanted) <= 0:
        raise AudioError("the recording is silent, so it has no level to be kept; leave it out")
    return np.asarray(wave * np.sqrt(wanted / power), dtype=np.float32)


def gain(wave: Wave, decibels: float) -> Wave:
    """Return a waveform louder by some dB, or softer; not clipped."""
    return np.asarray(wave * 10 ** (decibels / 20), dtype=np.float32)


def overdriven(wave: Wave, percent: float) -> Wave:
    """Cut the loudest percent of the samples to the level of the softest of them, as an overdriven input does."""
    if not len(wave):
        return wave
    limit = np.quantile(np.abs(wave), 1 - percent / 100)
    return np.clip(wave, -limit, limit)


def faster(wave: Wave, rate: int, factor: float) -> Wave:
    """Return a waveform at so many times its speed and pitch: (round(n / factor),) samples."""
    return to_rate(wave, rate * factor, rate)
