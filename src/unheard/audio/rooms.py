"""Recordings in rooms: simulated ones by the image source method, and measured impulse responses.

The walls of a room reflect alike at all frequencies. Their reflection is set so that the reverberation time, as it
is measured on the impulse response itself, is the one that was asked for.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from unheard.audio.levels import at_power_of
from unheard.errors import AudioError
from unheard.files import digest

SOUND = 343.0  # metres a second
ROOMS = 8  # different rooms for each reverberation time
SMALLEST, LARGEST = (4.0, 4.0, 2.7), (10.0, 8.0, 4.0)  # metres
WALL = 0.5  # metres that speaker and microphone keep from every wall
NEAREST, FARTHEST = 0.5, 2.5  # metres between the two
HALVINGS = 14  # of the interval in which the walls' reflection lies

Wave = NDArray[np.float32]
Floats = NDArray[np.float64]


def room(wave: Wave, rate: int, rng: np.random.Generator, *, rt60: float, training: bool = False) -> Wave:
    """Put a recording into one of eight simulated rooms of a reverberation time.

    Parameters
    ----------
    wave, rate : (n,) samples, and how many a second.
    rng : generator that draws the room.
    rt60 : seconds in which the sound falls by 60 dB.
    training : whether the rooms are those of training; tests have others.

    Returns
    -------
    (n,) float32 at the active power that it had, the direct path in time with the recording; not clipped.

    Raises
    ------
    AudioError
        The recording is silent.
    """
    number = int(rng.integers(ROOMS))
    return with_response(wave, rate, impulse_response(rt60, rate, number, training))


def with_response(wave: Wave, rate: int, response: Floats | Wave) -> Wave:
    """Convolve a recording with an impulse response whose strongest sample, the direct path, becomes time 0.

    Returns (n,) float32 at the active power that the recording had, not clipped.

    Raises
    ------
    AudioError
        The recording or the response is silent.
    """
    if not np.any(response):
        raise AudioError("the impulse response is silent; leave that file out")
    direct = int(np.argmax(np.abs(response)))
    size = len(wave) + len(response) - 1
    length = 1 << (size - 1).bit_length()
    both = np.fft.rfft(wave, length) * np.fft.rfft(response, length)
    wet = np.fft.irfft(both, length)[direct : direct + len(wave)]
    return at_power_of(np.asarray(wet, dtype=np.float32), wave, rate)


@lru_cache(4 * ROOMS)
def impulse_response(rt60: float, rate: int, number: int, training: bool = False) -> Floats:
    """Return the impulse response of a simulated shoebox room (Allen and Berkley 1979), the direct path first.

    Size, speaker and microphone are drawn from the number. Reflections change the sign (Lehmann and Johansson
    2008), without which low frequencies pile up. The same arguments give the same samples.
    """
    rng = np.random.default_rng(int(digest(["room", training, number]), 16))
    size = rng.uniform(SMALLEST, LARGEST)
    speaker, microphone = _places(size, rng)
    reach = SOUND * rt60
    squares: list[Floats] = []
    orders: list[NDArray[np.int16]] = []
    for length, a, b in zip(size, speaker, microphone, strict=True):
        n = np.arange(-int(np.ceil(reach / (2 * length))) - 1, int(np.ceil(reach / (2 * length))) + 2)
        offsets = np.concatenate([2 * n * length + a - b, 2 * n * length - a - b])
        squares.append(offsets**2)
        orders.append(np.concatenate([np.abs(2 * n), np.abs(2 * n - 1)]).astype(np.int16))
    x, y, z = np.ix_(*squares)
    far = np.sqrt((x + y + z).ravel())
    p, q, r = np.ix_(*orders)
    reflections = (p + q + r).ravel()
    heard = far <= reach + far.min()
    far, reflections = far[heard], reflections[heard]
    samples = np.round((far - far.min()) / SOUND * rate).astype(np.int64)
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        reflection = (low + high) / 2
        response = _response(samples, far, reflections, reflection)
        low, high = (low, reflection) if reverberation_time(response, rate) > rt60 else (reflection, high)
    response.setflags(write=False)
    return response


def reverberation_time(response: Floats, rate: int) -> float:
    """Return the seconds of a fall by 60 dB, from the fall between -5 and -35 dB (ISO 3382, T30)."""
    left = np.cumsum(response[::-1] ** 2)[::-1]
    level = 10 * np.log10(np.maximum(left / left[0], 1e-12))
    fall = np.flatnonzero((level <= -5) & (level >= -35))
    if len(fall) < 2:
        return 0.0
    slope = np.polyfit(fall / rate, level[fall], 1)[0]
    return float(-60 / slope)


def _places(size: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Draw where somebody speaks and where the microphone is, neither near a wall nor far from each other."""
    while True:
        speaker, microphone = rng.uniform(WALL, size - WALL), rng.uniform(WALL, size - WALL)
        if NEAREST <= np.linalg.norm(speaker - microphone) <= FARTHEST:
            return speaker, microphone


def _response(
    samples: NDArray[np.int64], far: Floats, reflections: NDArray[np.int16], reflection: float
) -> Floats:
    powers = (-reflection) ** np.arange(int(reflections.max()) + 1)
    return np.bincount(samples, weights=powers[reflections] / far).astype(np.float64)
