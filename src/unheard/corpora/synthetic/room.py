"""Where a person is recorded: gain, equalisation, a small reverberation and a noise floor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Room:
    """A room and its microphone; the defaults are dry and flat with little noise."""

    gain: float = 0.0  # dB
    slope: float = 0.0  # dB an octave around 1 kHz
    low_cut: float = 60.0  # Hz
    peak: float = 0.0  # dB of a broad resonance
    peak_at: float = 1500.0  # Hz
    reverberation: float = 0.2  # seconds to −60 dB
    echo: float = 0.0  # amplitude of the reverberation, 1 = as strong as the direct sound
    echo_seed: int = 0
    noise: float = -70.0  # dB of full scale
    noise_slope: float = -3.0  # dB an octave


def recorded(
    wave: NDArray[np.float32], rate: int, room: Room, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return a wave of equal length as the room's microphone hears it."""
    tail = int(room.reverberation * rate)
    size = 1 << int(np.ceil(np.log2(len(wave) + tail)))
    frequency = np.fft.rfftfreq(size, 1.0 / rate)
    octaves = np.log2(np.maximum(frequency, 30.0) / 1000.0)
    colour = (
        room.gain
        + room.slope * octaves
        + room.peak * np.exp(-((octaves - np.log2(room.peak_at / 1000.0)) ** 2))
    )
    colour -= 10.0 * np.log10(1.0 + (room.low_cut / np.maximum(frequency, 1.0)) ** 4)
    response = np.fft.rfft(_impulse_response(room, rate, tail), size)
    heard = np.fft.irfft(np.fft.rfft(wave, size) * response * 10.0 ** (colour / 20.0), size)[: len(wave)]
    floor = np.fft.rfft(rng.standard_normal(size)) * 10.0 ** (room.noise_slope * octaves / 20.0)
    noise = np.fft.irfft(floor, size)[: len(wave)]
    noise *= 10.0 ** (room.noise / 20.0) / noise.std()
    return (heard + noise).astype(np.float32)


def _impulse_response(room: Room, rate: int, tail: int) -> NDArray[np.float64]:
    """Return the direct sound, then noise that falls by 60 dB over the reverberation time."""
    times = np.arange(max(tail, 1)) / rate
    noise = np.random.default_rng(room.echo_seed).standard_normal(len(times))
    echo = noise * 10.0 ** (-3.0 * times / max(room.reverberation, 1e-3))
    echo *= room.echo / np.sqrt((echo**2).sum())
    echo[0] = 1.0
    return echo
