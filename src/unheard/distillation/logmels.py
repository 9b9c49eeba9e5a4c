"""Augmentations of log-mels, (frames, bands) in natural logarithms of power: other voices, rooms and noises.

All are pure functions of frames and numbers, or of frames and a random generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.float32]

#: Number of points at which the curves of an equaliser and of a noise's spectrum are drawn; they are linear
#: between.
EQUALISER_KNOTS, NOISE_KNOTS = 6, 5


def warped(frames: Frames, length: int, speed: float, frequency: float) -> Frames:
    """Return ``length`` frames at ``speed`` times the speed; band k is taken from band ``frequency`` · k.

    Values between neighbours are linear in time and in mel; above the highest band they are that band's.
    ``frames`` must reach up to frame ``speed`` · (length - 1).
    """
    bands = frames.shape[1]
    time = np.minimum(np.arange(length) * speed, len(frames) - 1)
    band = np.minimum(np.arange(bands) * frequency, bands - 1)
    return _between(_between(frames, time).T, band).T


def equalised(frames: Frames, deviation: float, rng: np.random.Generator) -> Frames:
    """Add one random curve over the bands to all frames, as another microphone or room does."""
    curve = _curve(frames.shape[1], EQUALISER_KNOTS, deviation, rng)
    shifted: Frames = frames + curve
    return shifted


def noisy(frames: Frames, min_snr: float, max_snr: float, rng: np.random.Generator) -> Frames:
    """Add the power of coloured noise.

    The ratio of mean powers is uniform between ``min_snr`` and ``max_snr`` dB; the spectrum is a drawn curve of
    about 6 dB deviation, and a frame's power in a band varies as that of Gaussian noise does in a few bins.
    """
    colour = _curve(frames.shape[1], NOISE_KNOTS, 1.5, rng)
    bins = np.log(rng.chisquare(8, frames.shape) / 8)
    return _added(frames, colour + bins, rng.uniform(min_snr, max_snr))


def babbled(
    frames: Frames, voices: Sequence[Frames], min_snr: float, max_snr: float, rng: np.random.Generator
) -> Frames:
    """Add the power of other people's speech, each voice (frames, bands) with as much power as any other.

    The ratio of mean powers is uniform between ``min_snr`` and ``max_snr`` dB.
    """
    equal = [voice - _mean_power(voice) for voice in voices]
    return _added(frames, np.logaddexp.reduce(equal), rng.uniform(min_snr, max_snr))


def _added(frames: Frames, noise: NDArray[np.floating[Any]], decibels: float) -> Frames:
    """Add the power of a noise, whose mean power lies so many decibels below that of the frames."""
    shift = _mean_power(frames) - _mean_power(noise) - decibels * np.log(10) / 10
    summed: Frames = np.logaddexp(frames, noise + shift).astype(np.float32)
    return summed


def _mean_power(frames: NDArray[np.floating[Any]]) -> float:
    """Return the natural logarithm of the mean power."""
    return float(np.log(np.exp(frames.astype(np.float64)).mean()))


def _curve(bands: int, knots: int, deviation: float, rng: np.random.Generator) -> Frames:
    drawn = rng.normal(0, deviation, knots)
    return np.interp(np.arange(bands), np.linspace(0, bands - 1, knots), drawn).astype(np.float32)


def _between(rows: Frames, places: NDArray[np.float64]) -> Frames:
    """Return rows at fractional places."""
    low = np.minimum(places.astype(np.int64), len(rows) - 1)
    high = np.minimum(low + 1, len(rows) - 1)
    share = (places - low).astype(np.float32)[:, None]
    mixed: Frames = rows[low] * (1 - share) + rows[high] * share
    return mixed
