"""Low-level descriptors of a voice, one row every 10 ms: what the functionals are statistics of.

The waveform is first scaled so that its loudest frame has power 1, and floors are relative to that; no descriptor
depends on the gain of the recording, which is kept apart (``Descriptors.loudest``). Frame t is centred on
(t + ½)·10 ms. Decibels are 10 log10 of power; frequencies enter as natural logarithms of Hz, pitch in semitones
above 27.5 Hz. Definitions follow eGeMAPS where it has them (Eyben et al. 2016, IEEE Trans. Affective Computing
7(2)): alpha ratio, Hammarberg index, spectral slopes, H1-H2, H1-A3, HNR.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unheard.audio.resample import RATE
from unheard.features.frames import blocks, checked, frames
from unheard.features.logmel import window
from unheard.features.mel import mel_filters
from unheard.features.pitch import HOP, track

LENGTH, FFT = 400, 512  # of the spectrum, 25 ms
LONG_LENGTH, LONG_FFT = 800, 2048  # of the harmonics, 50 ms
BANDS, CEPSTRA, HARMONICS = 26, 14, 4
FLOOR = 1e-6  # power beside the loudest frame's, −60 dB: most rooms' and codecs' own noise lies below
FORMANTS = ((300, 1000), (1000, 2200), (2200, 3600))  # Hz, where the first three lie
ROLLOFF = (0.25, 0.50, 0.75, 0.85, 0.95)

SPECTRAL = (
    "centroid", "spread", *(f"rolloff{round(100 * part)}" for part in ROLLOFF), "flatness", "entropy",
    "alpha_ratio", "hammarberg", "above_4khz", "slope_0_500", "slope_500_1500", "slope_1500_5000",
)  # fmt: skip
VOICE = ("h1_h2", "h1_h3", "h1_h4", "h2_h4", "h1_a1", "h1_a2", "h1_a3")
CHANGE = ("flux", "rise", "turn")
NAMES = (
    "level", "crossings", *SPECTRAL, *CHANGE, *VOICE, "hnr", "strength", "pitch",
    *(f"mfcc{k}" for k in range(1, CEPSTRA + 1)),
)  # fmt: skip

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Descriptors:
    """Descriptors of a recording.

    Attributes
    ----------
    values : (frames, len(NAMES)).
    mel : (frames, BANDS), decibels.
    voiced : (frames,) whether the vocal folds swing.
    loudest : mean power of the loudest frame, decibels of full scale; −100 for digital silence.
    """

    values: Array
    mel: Array
    voiced: NDArray[np.bool_]
    loudest: float


def describe(wave: NDArray[np.floating]) -> Descriptors:
    """Return the descriptors of a waveform at 16 kHz, full scale ±1."""
    samples = checked(wave)
    cut = frames(samples, LENGTH, HOP)
    loudest = max(float(_power(cut).max()), 1e-10)
    samples = samples / np.sqrt(loudest)
    pitch = track(samples)
    semitones = (pitch.log_f0() - np.log(27.5)) * (12.0 / np.log(2.0))
    cut = frames(samples, LENGTH, HOP)
    long_cut = frames(samples, LONG_LENGTH, HOP)
    f0 = np.exp(pitch.log_f0())
    parts = [(*_spectrum(cut[block]), _harmonics(long_cut[block], f0[block])) for block in blocks(len(cut))]
    first, mel, voice = (np.concatenate(part) for part in zip(*parts, strict=True))
    cepstra = mel @ _cosines(BANDS, CEPSTRA)
    values = np.column_stack([first, _changes(mel), voice, pitch.hnr(), pitch.strength, semitones, cepstra])
    return Descriptors(values, mel, pitch.voiced, 10.0 * float(np.log10(loudest)))


def _power(cut: Array) -> Array:
    """Return the mean square of each frame without its mean, (frames,)."""
    square: Array = np.einsum("ij,ij->i", cut, cut) / cut.shape[1] - cut.mean(axis=1) ** 2
    return np.maximum(square, 0.0)


def _spectrum(cut: Array) -> tuple[Array, Array]:
    """Return level, zero crossings and the shape of the spectrum, and mel bands in decibels."""
    centred = cut - cut.mean(axis=1, keepdims=True)
    shape = window("hamming", LENGTH)
    values = np.fft.rfft(centred * shape, FFT)
    power = (values.real**2 + values.imag**2) / (shape @ shape * LENGTH) + FLOOR / LENGTH
    mel = _decibels(power @ mel_filters(BANDS, FFT, 50.0, RATE / 2, "htk", "mel", "none").T)
    level = _decibels(_power(cut) + FLOOR)
    crossings = (np.signbit(centred[:, 1:]) != np.signbit(centred[:, :-1])).mean(axis=1)
    return np.column_stack([level, crossings, _shape(power)]), mel


def _shape(power: Array) -> Array:
    """Return the descriptors of ``SPECTRAL`` of power spectra, (frames, len(SPECTRAL))."""
    hertz = np.arange(power.shape[1]) * (RATE / FFT)
    total = power.sum(axis=1)
    part = power / total[:, None]
    centroid = part @ hertz
    spread = np.sqrt(np.maximum(part @ hertz**2 - centroid**2, 1.0))
    cumulated = np.cumsum(part, axis=1)
    rolloff = [np.log(((cumulated < share).sum(axis=1) + 1) * (RATE / FFT)) for share in ROLLOFF]
    logs = _decibels(power)
    flatness = logs.mean(axis=1) - _decibels(total / power.shape[1])
    entropy = -(part * np.log(part)).sum(axis=1)

    def energy(low: float, high: float) -> Array:
        return _decibels(power[:, (hertz >= low) & (hertz < high)].sum(axis=1))

    def peak(low: float, high: float) -> Array:
        largest: Array = logs[:, (hertz >= low) & (hertz < high)].max(axis=1)
        return largest

    def slope(low: float, high: float) -> Array:
        inside = (hertz >= low) & (hertz < high)
        kilohertz = (hertz[inside] - hertz[inside].mean()) / 1000.0
        steepness: Array = logs[:, inside] @ kilohertz / (kilohertz @ kilohertz)
        return steepness

    return np.column_stack(
        [
            np.log(centroid),
            np.log(spread),
            *rolloff,
            flatness,
            entropy,
            energy(1000, 5000) - energy(50, 1000),
            peak(0, 2000) - peak(2000, 5000),
            energy(4000, 8000) - energy(0, 4000),
            slope(0, 500),
            slope(500, 1500),
            slope(1500, 5000),
        ]
    )


def _harmonics(cut: Array, f0: Array) -> Array:
    """Return the descriptors of ``VOICE``, decibels, with the given F0 (Hz) in every frame."""
    shape = window("hann", LONG_LENGTH + 2)[1:-1]
    # Nothing here looks above the third formant: logarithms of the rest would be a third of the time.
    kept = int(np.ceil(FORMANTS[-1][1] * LONG_FFT / RATE)) + 1
    values = np.fft.rfft((cut - cut.mean(axis=1, keepdims=True)) * shape, LONG_FFT)[:, :kept]
    power = (values.real**2 + values.imag**2) / (shape @ shape * LONG_LENGTH)
    logs = _decibels(power + FLOOR / LONG_LENGTH)
    resolution = RATE / LONG_FFT
    # The height of a harmonic is the largest of nine points within a fifth of F0 around it.
    nearby = np.arange(-4, 5) * (0.05 / resolution) * f0[:, None]
    heights = []
    for number in range(1, HARMONICS + 1):
        at = np.rint(number * f0[:, None] / resolution + nearby).astype(np.intp)
        heights.append(np.take_along_axis(logs, np.clip(at, 0, logs.shape[1] - 1), axis=1).max(axis=1))
    h1, h2, h3, h4 = heights
    hertz = np.arange(logs.shape[1]) * resolution
    # The strongest partial near each of the first three formants, without tracking them.
    formants = [logs[:, (hertz > low) & (hertz < high)].max(axis=1) for low, high in FORMANTS]
    return np.column_stack([h1 - h2, h1 - h3, h1 - h4, h2 - h4, *(h1 - height for height in formants)])


def _changes(mel: Array) -> Array:
    """Return the descriptors of ``CHANGE``: how far a frame's spectrum is from the one before.

    ``flux``: root mean square over bands, decibels; ``rise``: mean of what increased; ``turn``: distance of the
    amplitude spectra scaled to length 1, so free of the level.
    """
    step = np.diff(mel, axis=0, prepend=mel[:1])
    amplitude = 10.0 ** (mel / 20.0)
    amplitude /= np.linalg.norm(amplitude, axis=1, keepdims=True)
    turn = np.linalg.norm(np.diff(amplitude, axis=0, prepend=amplitude[:1]), axis=1)
    return np.column_stack([np.sqrt((step**2).mean(axis=1)), np.maximum(step, 0.0).mean(axis=1), turn])


def _cosines(bands: int, count: int) -> Array:
    """Return the discrete cosine transform from log-mel bands to MFCC 1 … count, (bands, count)."""
    at = np.pi / bands * (np.arange(bands) + 0.5)
    waves: Array = np.cos(np.outer(at, np.arange(1, count + 1))) * np.sqrt(2.0 / bands)
    return waves


def _decibels(power: Array) -> Array:
    logs: Array = 10.0 * np.log10(power)
    return logs
