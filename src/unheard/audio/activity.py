"""Where somebody speaks: a voice-activity detector from energy and periodicity, with numpy alone.

Every 10 ms a window of 40 ms gives the energy between 200 and 4000 Hz and how periodic the signal is (largest
normalised autocorrelation at 70 to 400 Hz, after Boersma 1993). A frame counts as

- *loud* where its energy lies more than ``LOUD`` dB above the noise floor, which is what the quietest tenth of the
  frames within 15 s on either side stays below (digital silence left out), and at most ``RANGE`` dB below the
  loudest speech;
- *voiced* where it is loud by ``VOICED_LOUD`` dB and its periodicity, a median over 50 ms, exceeds ``PERIODIC``.

Loud frames within ``REACH`` of a voiced one make stretches, whose gaps of up to ``GAP`` are closed. A stretch is
speech where it holds at least ``MIN_VOICED`` voiced frames, their energy moves as that of speech does, and so do

- their pitch: no more than ``HELD`` of them have the pitch of the frame before;
- their timbre, or else their loudness: within 50 ms a quarter of them change by ``TIMBRE`` dB in some band against
  the whole, or by ``BEATS`` dB as a whole.

So noise, which is loud but not periodic, is none, nor are tones, engines and the notes of a piano or an organ,
which hold their pitch, nor most dissonant chords and instruments with vibrato, which sound alike from one instant
to the next. ``BEFORE`` and ``AFTER`` are added at its ends, for weak consonants. Singing is taken for speech, and
so is others' babble.

Frame k stands for the time from 10 k to 10 (k + 1) ms. Frames of a recording in blocks equal those of the whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unheard.audio.resample import RATE

HOP = RATE // 100  # samples
WINDOW = 4 * HOP
SIDE = (WINDOW - HOP) // 2  # the window of frame k reaches from 15 ms before its 10 ms to 15 ms behind them
FFT = 1024  # at least WINDOW plus the longest lag: no correlation wraps around
BAND = (200.0, 4000.0)  # Hz, of the energy: rumble fluctuates below
PERIODIC_BAND = (80.0, 1500.0)  # Hz, of the autocorrelation
PITCH = (70.0, 400.0)  # Hz
LOUD, VOICED_LOUD, RANGE = 3.0, 4.0, 45.0  # dB
PERIODIC = 0.55
MIN_VOICED = 6  # frames
STEADY = 0.75  # dB between the quartiles of the energy; tones and hum have less
SAME_PITCH = 0.002  # of the period, between neighbouring frames
HELD = 0.4  # share of them with the same pitch; speech and song have up to 0.31, music without voice 0.42 and more
MIN_PAIRS = 20  # neighbouring voiced frames among which that share is told
#: Hz, where overlapping bands are centred by which timbre is measured; dB below the whole that count as none.
BANDS, DEEP = (300.0, 700.0, 1400.0, 2600.0, 5000.0), 30.0
#: dB. Vibrato and chords change mostly by 1 to 4; where syllables begin and end, loudness changes by more than 4.
#: Of 3,270 real clips of speech and song from eight corpora none is lost by this; a drawn out word has 4.1.
TIMBRE, BEATS = 4.0, 4.0
APART, MIN_TIMBRE = 5, 60  # frames between which that is taken; and at least, of which it is told
PURE = 0.93  # periodicity above which it is told: noise less than 11 dB below a voice would hide what changes
REACH, GAP, BEFORE, AFTER = 0.4, 0.3, 0.1, 0.2  # seconds
NEIGHBOURHOOD = 15  # seconds on either side
SILENT = -100.0  # dB of full scale, given to digital silence

_SOME = 32  # frames computed at a time; these stay in the processor's cache

Wave = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Frames:
    """What is measured of each 10 ms of a recording at 16 kHz.

    Attributes
    ----------
    energy : (n,) dB of full scale, from 200 to 4000 Hz.
    level : (n,) dB of full scale, of the whole band.
    periodicity : (n,) 0 to 1.
    period : (n,) ms, of the largest autocorrelation; some number where nothing is periodic.
    bands : (5, n) dB of full scale, in overlapping bands around ``BANDS``.
    spectrum : (513,) mean power of all frames at 0 to 8000 Hz.
    seconds : duration of the recording.
    """

    energy: NDArray[np.float32]
    level: NDArray[np.float32]
    periodicity: NDArray[np.float32]
    period: NDArray[np.float32]
    bands: NDArray[np.float32]
    spectrum: NDArray[np.float64]
    seconds: float

    @classmethod
    def of(cls, table: NDArray[np.float32], spectrum: NDArray[np.float64], seconds: float) -> Frames:
        """Return frames from what :func:`take` measured of each, (``ROWS``, n)."""
        return cls(table[0], table[1], table[2], table[3], table[4:], spectrum, seconds)


def segments(recording: Wave | Frames) -> list[tuple[float, float]]:
    """Return when somebody speaks, (start, end) in seconds, in order and apart.

    Parameters
    ----------
    recording : (n,) samples at 16 kHz, or its frames.
    """
    frames = recording if isinstance(recording, Frames) else measure([recording])
    last = len(frames.energy)
    found: list[tuple[float, float]] = []
    for first, end in _stretches(frames):
        start = max(0, first - round(BEFORE * 100)) / 100
        stop = min(frames.seconds, min(last, end + round(AFTER * 100)) / 100)
        if found and start <= found[-1][1]:
            start = found.pop()[0]
        found.append((start, stop))
    return found


def measure(blocks: Iterable[Wave]) -> Frames:
    """Measure a recording at 16 kHz that arrives in blocks of any length; memory grows by 36 bytes a frame."""
    rest = np.zeros(SIDE, dtype=np.float32)
    parts: list[NDArray[np.float32]] = []
    spectrum = np.zeros(FFT // 2 + 1)
    samples = 0
    for block in blocks:
        samples += len(block)
        rest = take(np.concatenate([rest, block]), parts, spectrum)
    count = -(-samples // HOP)
    missing = count - sum(part.shape[1] for part in parts)
    take(np.pad(rest, (0, max(0, WINDOW + missing * HOP - len(rest)))), parts, spectrum, missing)
    table = np.concatenate([np.empty((ROWS, 0), np.float32), *parts], axis=1)
    return Frames.of(table, spectrum / max(1, count), samples / RATE)


def take(
    wave: Wave, parts: list[NDArray[np.float32]], spectrum: NDArray[np.float64], most: int | None = None
) -> Wave:
    """Measure the whole windows of a waveform, at most so many, and return the samples that later ones need.

    A table (4, n) for some of them after the other is added to ``parts``, their power to ``spectrum``.
    """
    count = max(0, 1 + (len(wave) - WINDOW) // HOP)
    count = count if most is None else min(count, most)
    for first in range(0, count, _SOME):
        end = min(first + _SOME, count)
        piece = wave[first * HOP : (end - 1) * HOP + WINDOW]
        parts.append(_measured(np.lib.stride_tricks.sliding_window_view(piece, WINDOW)[::HOP], spectrum))
    return wave[count * HOP :]


def _measured(windows: NDArray[np.float32], spectrum: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return what is measured of windows (n, WINDOW), (``ROWS``, n); add their power to the spectrum."""
    values = np.fft.rfft(windows * _HANN, FFT)
    power = values.real**2 + values.imag**2
    spectrum += power.sum(axis=0, dtype=np.float64)
    # Nothing is kept above 1500 Hz, so a transform of half the length gives every other lag.
    correlation = np.fft.irfft(power[:, : FFT // 4 + 1] * _KEPT, FFT // 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        normalised = correlation[:, _LAGS] / correlation[:, :1] / _OWN
        levels = [10 * np.log10(power[:, band].sum(axis=1) / _SCALE) for band in (_BAND, slice(1, None))]
        bands = 10 * np.log10(_TRIANGLES @ power.T / _SCALE)
    best, period = _peak(np.nan_to_num(normalised))
    loud = [np.maximum(level, SILENT) for level in (*levels, *bands)]
    return np.stack([*loud[:2], best, period, *loud[2:]]).astype(np.float32)


def _peak(correlation: NDArray[np.floating]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return the largest correlation of each row, within 0 and 1, and its lag in ms, by a parabola."""
    rows = np.arange(len(correlation))
    place = correlation.argmax(axis=1)
    middle = np.clip(place, 1, correlation.shape[1] - 2)
    before, at, after = (correlation[rows, middle + k] for k in (-1, 0, 1))
    curve = np.minimum(before - 2 * at + after, -1e-9)
    lag = _LAGS.start + middle + np.clip((before - after) / (2 * curve), -1, 1)
    return np.clip(correlation[rows, place], 0, 1), lag * 2000 / RATE


def _stretches(frames: Frames) -> list[tuple[int, int]]:
    """Return the first frame and the one after the last of each stretch of speech, not yet extended."""
    if len(frames.energy) < MIN_VOICED:
        return []
    above = frames.energy - _floor(frames.energy)
    periodic = _median5(frames.periodicity) > PERIODIC
    voiced = periodic & (above > VOICED_LOUD)
    if not voiced.any():
        return []
    loudest = np.percentile(frames.energy[voiced], 95)
    audible = frames.energy > loudest - RANGE
    voiced &= audible
    reach = round(REACH * 100)
    # Not mode "same", which is as long as the longer of the two.
    near = np.convolve(voiced, np.ones(2 * reach + 1))[reach : reach + len(voiced)] > 0.5
    found = []
    for first, end in _runs(_closed((above > LOUD) & audible & near, round(GAP * 100))):
        heard = frames.energy[first:end][voiced[first:end]]
        if len(heard) < MIN_VOICED or np.subtract(*np.percentile(heard, (75, 25))) <= STEADY:
            continue
        here, spoken = slice(first, end), voiced[first:end]
        if not (_holds_pitch(frames.period[here], spoken) or _holds_timbre(frames, here, spoken)):
            found.append((first, end))
    return found


def _holds_pitch(period: NDArray[np.float32], voiced: NDArray[np.bool_]) -> bool:
    """Return whether most voiced frames have the pitch of the frame before, as no voice does."""
    both = voiced[1:] & voiced[:-1]
    same = np.abs(np.diff(np.log(period)))[both] < SAME_PITCH
    return len(same) >= MIN_PAIRS and float(same.mean()) > HELD


def _holds_timbre(frames: Frames, here: slice, voiced: NDArray[np.bool_]) -> bool:
    """Return whether most voiced frames sound like those 50 ms before, as no voice does for long."""
    energy, bands = frames.energy[here][voiced], frames.bands[:, here][:, voiced]
    if len(energy) < MIN_TIMBRE or np.median(frames.periodicity[here][voiced]) < PURE:
        return False
    shape = np.maximum(bands - energy, -DEEP)
    timbre, loudness = (np.abs(x[..., APART:] - x[..., :-APART]) for x in (shape, energy))
    return (
        float(np.percentile(timbre.max(axis=0), 75)) < TIMBRE and float(np.percentile(loudness, 75)) < BEATS
    )


def _floor(energy: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the tenth percentile within 15 s on either side, taken once a second and interpolated; (n,) dB."""
    n = len(energy)
    places = np.arange(50, max(n, 51), 100)
    reach = NEIGHBOURHOOD * 100
    floors: list[float] = []
    for place in places:
        around = energy[max(0, place - reach) : place + reach]
        heard = around[around > SILENT]
        floors.append(float(np.percentile(heard, 10)) if len(heard) else SILENT)
    return np.interp(np.arange(n), places, floors).astype(np.float32)


def _median5(values: NDArray[np.float32]) -> NDArray[np.float32]:
    padded = np.pad(values, 2, mode="edge")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=1).astype(np.float32)


def _closed(mask: NDArray[np.bool_], most: int) -> NDArray[np.bool_]:
    """Fill gaps of at most so many frames between frames that are set."""
    filled = mask.copy()
    for first, end in _runs(~mask):
        if first > 0 and end < len(mask) and end - first <= most:
            filled[first:end] = True
    return filled


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


_HERTZ = np.arange(FFT // 2 + 1) * RATE / FFT
_EDGES = (0.0, *BANDS, RATE / 2)
_TRIANGLES = np.stack([np.interp(_HERTZ, _EDGES[k : k + 3], (0, 1, 0)) for k in range(len(BANDS))])
_TRIANGLES = _TRIANGLES.astype(np.float32)
ROWS = 4 + len(BANDS)  # numbers of a frame
_BAND = slice(*np.searchsorted(_HERTZ, BAND))
#: Power rises with frequency, so that a band of strong rumble does not pass for a period.
_KEPT = (_HERTZ / RATE).astype(np.float32)[: FFT // 4 + 1]
_KEPT[: np.searchsorted(_HERTZ, PERIODIC_BAND[0])] = 0
_KEPT[np.searchsorted(_HERTZ, PERIODIC_BAND[1]) :] = 0
#: Samples at half the rate.
_LAGS = slice(int(RATE / 2 / PITCH[1]), int(RATE / 2 / PITCH[0]) + 1)
_HANN = np.hanning(WINDOW).astype(np.float32)
#: The autocorrelation of the window, by which that of the signal is divided (Boersma 1993, equation 9).
_OWN = np.correlate(_HANN, _HANN, "full")[WINDOW - 1 :: 2][_LAGS] / np.square(_HANN).sum()
#: Sum of power over all frequencies that a signal of mean square 1 has.
_SCALE = float((_HANN**2).sum()) * FFT / 2
