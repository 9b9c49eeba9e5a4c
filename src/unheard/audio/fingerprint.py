"""Acoustic fingerprints of a few kilobytes, by which a recording is found under another name, rate or format.

Conventions: waves are (n,) float32 at 16 kHz; a frame is 10 ms. There are two parts:

- *landmarks* find the pairs that are worth comparing: local peaks of a log spectrogram (64 bands, 300-3,400 Hz),
  hashed together with the time between them (Wang 2003, "An industrial-strength audio search algorithm"): in
  threes where many recordings are compared with each other, since two peaks alone meet often by chance, and in
  pairs where little of a recording may be kept. They need no alignment and go into an inverted index;
- the *band wave* tells whether two are one recording: the signal itself between 300 and 1,800 Hz at 4 kHz, its
  loudness levelled. Copies agree in phase, which two takes of one sentence by one person never do;
  :func:`similarity` is the largest normalised cross-correlation over all alignments. Gain, codecs, rates and
  shifts leave it high.

The threshold is derived by ``benchmarks/fingerprint.py`` from takes of RAVDESS.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

#: Pairs at least this similar are one recording: takes of one sentence by one actor reach 0.35, copies stay
#: at 0.81 or above.
THRESHOLD = 0.6
#: Seconds of a recording that its fingerprint covers; the exact hash covers all of it.
LONGEST = 600.0

RATE = 16_000
HOP = 160
WINDOW = 1024
BANDS = 64
LOWEST, HIGHEST = 300.0, 3400.0
PEAK_REACH = (4, 3)  # a peak is the largest value within so many frames and bands on each side
PEAK_RANGE = 30.0  # dB below the loudest point of the spectrogram in which peaks count
FLOOR = 45.0  # dB below the loudest point: what is weaker is noise of a codec
FAN = 5  # each peak is paired with so many that follow
REACH = 50  # frames between the two peaks of a pair, at most
HASHES = BANDS * BANDS * (REACH + 1)  # number of different hashes of pairs
THREES = ((1, 2), (1, 3), (2, 3))  # which of the peaks that follow one are hashed with it
WAVE_RATE = 4_000
WAVE_BAND = (250.0, 350.0, 1700.0, 1900.0)  # Hz: raised-cosine edges of the band wave
LEVEL_WINDOW = 100  # samples of the band wave, 25 ms, over which loudness is measured
LEVEL_RANGE = 20.0  # dB below the loudest from which quiet parts are left quiet
MEETING = (
    0.4  # share of each one's energy that must meet the other; pieces of one programme overlap that much
)
SILENCE = 1e-6  # RMS, 30 dB below the last bit of 16-bit audio

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Landmarks:
    """Pairs of peaks of one recording.

    Attributes
    ----------
    hashes
        (k,) int64 below :data:`HASHES`: two bands and the frames between them.
    times
        (k,) int64: frame of the first peak of each pair.
    levels
        (k,) float32: how loud its peaks are, natural logarithms summed.
    """

    hashes: Array
    times: Array
    levels: Array


@dataclass(frozen=True)
class Fingerprint:
    """Landmarks of one recording in threes, six bytes each.

    Attributes
    ----------
    hashes
        (k,) uint32: three bands and the frames between them.
    times
        (k,) uint16: frame of the first peak of each three.
    """

    hashes: Array
    times: Array


def exact_hash(wave: Array) -> str:
    """Return the SHA-256 of the wave as 16-bit little-endian PCM: equal decoded audio, equal hash."""
    pcm = np.clip(np.rint(wave * 32768.0), -32768, 32767).astype("<i2")
    return hashlib.sha256(pcm.tobytes()).hexdigest()


def fingerprint(wave: Array) -> Fingerprint:
    """Return the fingerprint of the first ``LONGEST`` seconds of a wave, (n,) float32 at 16 kHz."""
    time, band, _ = _peaks(wave)
    return threes(time, band)


def threes(time: Array, band: Array) -> Fingerprint:
    """Return the fingerprint of peaks in the order of their frames."""
    hashes, times = [], []
    for second, third in THREES:
        first = slice(0, max(0, len(time) - third))
        gap, last = time[second:][first] - time[first], time[third:][first] - time[first]
        bands = (band[first] * BANDS + band[second:][first]) * BANDS + band[third:][first]
        near = last <= REACH
        hashes.append(((bands * (REACH + 1) + gap) * (REACH + 1) + last - gap)[near])
        times.append(time[first][near])
    return Fingerprint(np.concatenate(hashes).astype(np.uint32), np.concatenate(times).astype(np.uint16))


def landmarks(wave: Array) -> Landmarks:
    """Return the landmarks of the first ``LONGEST`` seconds of a wave, (n,) float32 at 16 kHz, in pairs."""
    time, band, level = _peaks(wave)
    hashes, times, levels = [], [], []
    for step in range(1, FAN + 1):
        gap = time[step:] - time[:-step]
        near = gap <= REACH
        hashes.append((((band[:-step] * BANDS + band[step:]) * (REACH + 1)) + gap)[near])
        times.append(time[:-step][near])
        levels.append((level[:-step] + level[step:])[near])
    return Landmarks(*(np.concatenate(each) for each in (hashes, times, levels)))


def meetings(hashes: Array, among: Array) -> tuple[Array, Array]:
    """Return all (position in ``hashes``, position in the sorted ``among``) of equal values."""
    left, right = (np.searchsorted(among, hashes, side) for side in ("left", "right"))
    hits = right - left
    query = np.repeat(np.arange(len(hashes)), hits)
    # Positions left[q], left[q] + 1, …, right[q] - 1 for every landmark q, in one line.
    there = np.arange(len(query)) - np.repeat(np.cumsum(hits) - hits, hits) + np.repeat(left, hits)
    return query, there


def agreement(owner: Array, shift: Array) -> tuple[Array, Array]:
    """Return the owners, sorted, and how many of the shifts of each agree within two frames, at best."""
    best = owners = owner[:0]
    if not len(owner):
        return owners, best
    low, span = int(shift.min()), int(shift.max() - shift.min()) // 2 + 2
    for phase in (0, 1):  # two frames a bin; the bins of the second round lie across those of the first
        keys, votes = np.unique(owner * span + (shift - low + phase) // 2, return_counts=True)
        each = keys // span
        begin = np.flatnonzero(np.concatenate([[True], each[1:] != each[:-1]]))
        maximum = np.maximum.reduceat(votes, begin)
        owners, best = each[begin], maximum if phase == 0 else np.maximum(best, maximum)
    return owners, best


def band_wave(wave: Array) -> Array:
    """Return (m,) int8: a band of the first ``LONGEST`` seconds at 4 kHz, its loudness levelled, 127 at most.

    The band is cut out of the spectrum of the whole wave. Without the levelling, one click of a mouse that ends
    two recordings makes them equal.
    """
    wave = np.asarray(wave, dtype=np.float32)[: int(LONGEST * RATE)]
    factor, length = RATE // WAVE_RATE, -(-len(wave) // (RATE // WAVE_RATE))
    size = factor * _fast_length(length + 64)  # some room, since a spectrum wraps around
    spectrum = np.fft.rfft(wave, size)[: size // factor // 2 + 1]
    frequency = np.arange(len(spectrum)) * RATE / size
    rise, full, fall, end = WAVE_BAND
    low = np.clip((frequency - rise) / (full - rise), 0.0, 1.0)
    high = np.clip((end - frequency) / (end - fall), 0.0, 1.0)
    gain = np.sin(0.5 * np.pi * np.minimum(low, high)) ** 2
    band = np.fft.irfft(spectrum * gain, size // factor)[:length]
    loudness = _local_rms(band)
    loudest = float(loudness.max(initial=0.0))
    if loudest < SILENCE:
        return np.zeros(length, np.int8)
    level = band / (loudness + loudest * 10.0 ** (-LEVEL_RANGE / 20.0))
    quantised: Array = np.rint(level / np.abs(level).max() * 127.0).astype(np.int8)
    return quantised


def similarity(a: Array, b: Array) -> float:
    """Return the largest magnitude of the normalised cross-correlation of two of :func:`band_wave`, in [0, 1].

    Every alignment counts in which at least ``MEETING`` of each one's energy meets the other recording; energies
    are taken over what meets, so padded or cut ends cost little.
    """
    x, y = a.astype(np.float32), b.astype(np.float32)
    if not (x.any() and y.any()):
        return 0.0
    size = _fast_length(len(x) + len(y))
    cross = np.fft.rfft(x, size) * np.conj(np.fft.rfft(y, size))
    # Twice the rate, since a shift by half a sample at 4 kHz would already cost up to a tenth.
    products = 2.0 * np.abs(np.fft.irfft(cross, 2 * size))
    lags = np.arange(1 - len(y), len(x))
    before = np.maximum(products[(2 * lags - 1) % (2 * size)], products[(2 * lags + 1) % (2 * size)])
    products = np.maximum(products[(2 * lags) % (2 * size)], before)
    energy_x, energy_y = _running_energy(x), _running_energy(y)
    begin, end = np.maximum(lags, 0), np.minimum(lags + len(y), len(x))
    met_x = energy_x[end] - energy_x[begin]
    met_y = energy_y[end - lags] - energy_y[begin - lags]
    enough = (met_x >= MEETING * energy_x[-1]) & (met_y >= MEETING * energy_y[-1])
    if not enough.any():
        return 0.0
    return float(min(1.0, np.max(products[enough] / np.sqrt(met_x[enough] * met_y[enough]))))


def _log_spectrogram(wave: Array) -> Array:
    """Return (frames, bands) natural log power, floored; equal up to a constant for any gain."""
    padded = np.concatenate([wave, np.zeros(max(0, WINDOW - len(wave)), np.float32)])
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    blocks = [_band_power(frames[i : i + 4096]) for i in range(0, len(frames), 4096)]
    power = np.concatenate(blocks)
    loudest = float(power.max())
    if loudest <= 0.0:
        return np.full_like(power, -np.inf)  # without a peak
    logarithm: Array = np.log(power / loudest + 10.0 ** (-FLOOR / 10.0))
    return logarithm


def _band_power(frames: Array) -> Array:
    """Return the power in bands of equal width on a log scale, (frames, bands) float32."""
    spectrum = np.fft.rfft(frames * _HANN, axis=1)[:, : len(_BAND_WEIGHTS)]
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    bands: Array = power @ _BAND_WEIGHTS
    return bands


def _band_weights() -> Array:
    """Return (bins, bands) float32: the share of each bin that lies in each band; no bins above the last band."""
    edges = np.geomspace(LOWEST, HIGHEST, BANDS + 1) * WINDOW / RATE
    bins = np.arange(int(np.ceil(edges[-1])))[:, None]
    overlap = np.minimum(bins + 1, edges[1:]) - np.maximum(bins, edges[:-1])
    weights: Array = np.clip(overlap, 0.0, None).astype(np.float32)
    return weights


_HANN = np.hanning(WINDOW).astype(np.float32)
_BAND_WEIGHTS = _band_weights()


def _peaks(wave: Array) -> tuple[Array, Array, Array]:
    """Return frame, band and level of each peak, by frame."""
    spectrogram = _log_spectrogram(np.asarray(wave, dtype=np.float32)[: int(LONGEST * RATE)])
    loud = spectrogram > -PEAK_RANGE / 10.0 * np.log(10.0)
    time, band = np.nonzero(loud & (spectrogram == _largest_around(spectrogram)))
    return time, band, spectrogram[time, band]


def _largest_around(values: Array) -> Array:
    """Return the largest value in the rectangle of ``PEAK_REACH`` around each point."""
    for axis, reach in enumerate(PEAK_REACH):
        width = [(reach, reach) if a == axis else (0, 0) for a in (0, 1)]
        padded = np.pad(values, width, constant_values=-np.inf)
        values = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=axis).max(axis=-1)
    return values


def _local_rms(wave: Array) -> Array:
    """Return the RMS in the window of ``LEVEL_WINDOW`` samples around each sample."""
    energy = _running_energy(wave)
    here = np.arange(len(wave))
    begin, end = np.maximum(here - LEVEL_WINDOW // 2, 0), np.minimum(here + LEVEL_WINDOW // 2, len(wave))
    rms: Array = np.sqrt(np.maximum(energy[end] - energy[begin], 0.0) / np.maximum(end - begin, 1))
    return rms


def _running_energy(wave: Array) -> Array:
    return np.concatenate([[0.0], np.cumsum(wave.astype(np.float64) ** 2)])


def _fast_length(minimum: int) -> int:
    """Return the smallest even product of 2, 3 and 5 from ``minimum`` on, for which transforms are fast."""
    best = 1 << max(1, int(np.ceil(np.log2(max(minimum, 2)))))
    for three in (1, 3, 9, 27):
        for five in (1, 5, 25):
            odd = three * five
            power = max(1, int(np.ceil(np.log2(max(minimum, 2) / odd)))) if odd < minimum else 1
            candidate = odd << power
            if minimum <= candidate < best:
                best = candidate
    return best
