"""Low-level descriptors of a voice, one row every 10 or 20 ms: what the functionals are statistics of.

The waveform is first scaled so that its loudest frame has power 1, and floors are relative to that; no descriptor
depends on the gain of the recording, which is kept apart (``Descriptors.loudest``). Frame t is centred on
(t + ½)·hop. Decibels are 10 log10 of power; frequencies enter as natural logarithms of Hz, pitch in semitones
above 27.5 Hz. Definitions follow eGeMAPS where it has them (Eyben et al. 2016, IEEE Trans. Affective Computing
7(2)): alpha ratio, Hammarberg index, spectral slopes, H1-H2, H1-A3, HNR.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from unheard.audio.resample import RATE
from unheard.features import harmonics
from unheard.features.frames import blocks, checked, cut
from unheard.features.logmel import window
from unheard.features.mel import mel_filters
from unheard.features.pitch import FEW, HOP, candidates, follow, frame_length, scaled, spectra, transform_size

LENGTH, FFT = 400, 512  # of the spectrum, 25 ms
BANDS, CEPSTRA = 26, 14
FLOOR = harmonics.FLOOR  # −60 dB: most rooms' and codecs' own noise lies below
ROLLOFF = (0.25, 0.50, 0.75, 0.85, 0.95)

SPECTRAL = (
    "centroid", "spread", *(f"rolloff{round(100 * part)}" for part in ROLLOFF), "flatness", "entropy",
    "alpha_ratio", "hammarberg", "above_4khz", "slope_0_500", "slope_500_1500", "slope_1500_5000",
)  # fmt: skip
CHANGE = ("flux", "rise", "turn")
NAMES = (
    "level", "crossings", *SPECTRAL, *CHANGE, *harmonics.NAMES, "hnr", "strength", "pitch",
    *(f"mfcc{k}" for k in range(1, CEPSTRA + 1)),
)  # fmt: skip

Array = NDArray[np.float64]
Single = NDArray[np.float32]


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


def describe(wave: NDArray[np.floating], hop: int = HOP) -> Descriptors:
    """Return the descriptors of a waveform at 16 kHz, full scale ±1, every ``hop`` samples."""
    samples, largest = scaled(checked(wave))
    long = cut(samples, frame_length(), hop)
    short = long[:, (frame_length() - LENGTH) // 2 :][:, :LENGTH]  # about the same centres
    power = _power(short)
    loudest = max(float(power.max()), 1e-10 / largest**2)  # −100 dB of full scale counts as digital silence
    gain = 1.0 / np.sqrt(loudest)
    # Every 20 ms, which is for those in a hurry, harmonics are looked for in steps of 16 Hz instead of 8: pitch
    # needs no more, and the finer transform would take a sixth of all the time.
    points = transform_size() * (2 if hop == HOP else 1)
    parts = [
        (*_spectrum(short[block], gain), *_voice(long[block], points)) for block in blocks(len(short), FEW)
    ]
    joined = [np.concatenate(part) for part in zip(*parts, strict=True)]
    crossings, rolloff, sums, period, height, peak, partials, formants = joined
    pitch = follow(period, height, peak, hop=hop)
    log_f0 = pitch.log_f0()
    mel = sums[:, :BANDS]
    logs = _decibels(mel)
    values = np.column_stack(
        [
            _decibels(power / loudest + FLOOR),
            crossings,
            _shape(rolloff, *sums[:, BANDS:].T),
            _changes(mel, logs),
            harmonics.heights(partials, formants, np.exp(log_f0), points, gain**2),
            pitch.hnr(),
            pitch.strength,
            (log_f0 - np.log(27.5)) * (12.0 / np.log(2.0)),
            logs @ _cosines(),
        ]
    )
    return Descriptors(values, logs, pitch.voiced, 10.0 * float(np.log10(loudest * largest**2)))


def _power(framed: Single) -> Array:
    """Return the mean square of each frame without its mean, (frames,)."""
    square = np.einsum("ij,ij->i", framed, framed) / framed.shape[1] - framed.mean(axis=1) ** 2
    return np.asarray(np.maximum(square, 0.0), dtype=np.float64)


def _spectrum(framed: Single, gain: float) -> tuple[Array, Array, Array]:
    """Return zero crossings, rolloff, and the sums that mel bands and ``_shape`` are made of, a row a frame.

    ``gain`` is what the waveform has to be multiplied with.
    """
    centred = framed - framed.mean(axis=1, keepdims=True)
    is_negative = np.signbit(centred)
    crossings = np.count_nonzero(is_negative[:, 1:] != is_negative[:, :-1], axis=1) / (LENGTH - 1)
    values = np.fft.rfft(centred * (_hamming() * np.float32(gain)), FFT)
    power = np.asarray(values.real**2 + values.imag**2, dtype=np.float32) + np.float32(FLOOR / LENGTH)
    logs = np.log(power)
    sums = [
        power @ _weights_of_power(),
        logs @ _weights_of_logs(),
        np.einsum("ij,ij->i", power, logs)[:, None],
        *(
            power[:, _between(low, high)].max(axis=1, keepdims=True)
            for low, high in ((0, 2000), (2000, 5000))
        ),
    ]
    return crossings, np.log(_rolloff(power) * (RATE / FFT)), np.hstack(sums, dtype=np.float64)


def _shape(
    rolloff: Array,
    total: Array, first: Array, second: Array, above_1: Array, below_1: Array, above_4: Array, below_4: Array,
    mean_log: Array, slope_1: Array, slope_2: Array, slope_3: Array,
    power_log: Array, peak_low: Array, peak_high: Array,
) -> Array:  # fmt: skip
    """Return the descriptors of ``SPECTRAL``, (frames, len(SPECTRAL))."""
    centroid = first / total
    spread = np.sqrt(np.maximum(second / total - centroid**2, 1e-6))  # kHz
    slopes = np.column_stack([slope_1, slope_2, slope_3]) * (10.0 / np.log(10.0))
    return np.column_stack(
        [
            np.log(1000.0 * centroid),
            np.log(1000.0 * spread),
            rolloff,
            10.0 / np.log(10.0) * mean_log - _decibels(total / (FFT // 2 + 1)),
            np.log(total) - power_log / total,  # −Σ p log p with p = power / total
            _decibels(above_1 / below_1),
            _decibels(peak_low / peak_high),
            _decibels(above_4 / below_4),
            slopes,
        ]
    )


def _rolloff(power: Single) -> NDArray[np.intp]:
    """Return the first points below which the parts ``ROLLOFF`` of the power lie, from 1, (frames, parts)."""
    count, points = len(power), FFT // 2
    # Sums within sixteen points by a product, then over the sixteens: adding one by one takes twice as long.
    within = power[:, :points].reshape(count, -1, 16) @ _running_sum()
    ends = np.cumsum(within[:, :, -1], axis=1)
    within[:, 1:] += ends[:, :-1, None]
    total = ends[:, -1] + power[:, -1]
    # One search in all frames: row t is lifted by t, so that they form one rising line.
    lift = np.arange(count)[:, None]
    line = within.reshape(count, points) / total[:, None] + lift
    found = np.searchsorted(line.ravel(), (np.array(ROLLOFF) + lift).ravel())
    return np.asarray(found.reshape(count, -1) - points * lift + 1)


def _voice(framed: Single, points: int) -> tuple[Array, Array, Single, Single, Single]:
    """Return periods, heights and largest samples of long frames for the pitch, and what harmonics need."""
    power, peak = spectra(framed, points)
    return *candidates(power[:, :: points // transform_size()]), peak, *harmonics.partials(power)


def _changes(mel: Array, logs: Array) -> Array:
    """Return the descriptors of ``CHANGE``: how far a frame's mel bands are from those of the frame before.

    ``flux``: root mean square over bands, decibels; ``rise``: mean of what increased; ``turn``: distance of the
    amplitude spectra scaled to length 1, so free of the level.
    """
    step = np.diff(logs, axis=0, prepend=logs[:1])
    amplitude = np.sqrt(mel / mel.sum(axis=1, keepdims=True))
    turn = np.linalg.norm(np.diff(amplitude, axis=0, prepend=amplitude[:1]), axis=1)
    return np.column_stack([np.sqrt((step**2).mean(axis=1)), np.maximum(step, 0.0).mean(axis=1), turn])


@cache
def _hamming() -> Single:
    """Return the short frames' window, scaled so that powers are those of a frame's mean square."""
    shape = window("hamming", LENGTH)
    return (shape / np.sqrt(shape @ shape * LENGTH)).astype(np.float32)


@cache
def _weights_of_power() -> Single:
    """Return what power spectra are summed with, (FFT // 2 + 1, BANDS + 7).

    Mel bands; all, times kHz, times kHz²; 1 to 5 kHz, 50 Hz to 1 kHz, 4 to 8 kHz, below 4 kHz.
    """
    kilohertz = np.arange(FFT // 2 + 1) * (RATE / FFT / 1000.0)
    bands = np.zeros((4, FFT // 2 + 1))
    for row, (low, high) in zip(bands, ((1000, 5000), (50, 1000), (4000, 8000), (0, 4000)), strict=True):
        row[_between(low, high)] = 1.0
    mel = mel_filters(BANDS, FFT, 50.0, RATE / 2, "htk", "mel", "none")
    return np.vstack([mel, kilohertz**0, kilohertz, kilohertz**2, bands]).T.astype(np.float32)


@cache
def _weights_of_logs() -> Single:
    """Return what log spectra are summed with, (FFT // 2 + 1, 4): mean, and slopes per kHz of three ranges."""
    kilohertz = np.arange(FFT // 2 + 1) * (RATE / FFT / 1000.0)
    weights = np.zeros((4, FFT // 2 + 1))
    weights[0] = 1.0 / len(kilohertz)
    for row, (low, high) in zip(weights[1:], ((0, 500), (500, 1500), (1500, 5000)), strict=True):
        inside = _between(low, high)
        centred = kilohertz[inside] - kilohertz[inside].mean()
        row[inside] = centred / (centred @ centred)
    return weights.T.astype(np.float32)


def _between(low: float, high: float) -> slice:
    """Return the points of a spectrum from ``low`` Hz to below ``high``; the last one belongs to no range."""
    return slice(int(np.ceil(low * FFT / RATE)), int(np.ceil(high * FFT / RATE)))


@cache
def _running_sum() -> Single:
    """Return what sixteen numbers are multiplied with for the sums of the first one to all of them, (16, 16)."""
    return np.triu(np.ones((16, 16), dtype=np.float32))


@cache
def _cosines() -> Array:
    """Return the discrete cosine transform from log-mel bands to MFCC 1 …, (BANDS, CEPSTRA)."""
    at = np.pi / BANDS * (np.arange(BANDS) + 0.5)
    waves: Array = np.cos(np.outer(at, np.arange(1, CEPSTRA + 1))) * np.sqrt(2.0 / BANDS)
    return waves


def _decibels(power: NDArray[np.floating]) -> Array:
    logs: Array = 10.0 * np.log10(power)
    return logs
