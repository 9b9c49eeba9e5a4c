"""Fundamental frequency by normalised autocorrelation and the cheapest path through its peaks.

The method is Boersma's (1993, "Accurate short-term analysis of the fundamental frequency and the
harmonics-to-noise ratio of a sampled sound"): the autocorrelation of a windowed frame over the window's,
its peaks as candidates, one candidate more for "unvoiced", and a path that pays for jumps in octaves and for
changes of voicing. Frame t is centred on (t + ½)·hop. The result does not depend on the gain.

``track`` is all of it; ``transform_size``, ``spectra``, ``candidates`` and ``follow`` are its parts, for callers
that need the spectra themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from unheard.audio.resample import RATE
from unheard.features.frames import blocks, checked, cut

HOP = 160  # samples, 10 ms
FEW = 100  # frames in work at a time, so that what is made of them stays in the processor's cache
LOW, HIGH = 60.0, 650.0  # Hz, where pitch is looked for
CANDIDATES = 8  # peaks of a frame that may be its period
OCTAVE_COST = 0.01  # a candidate pays this for every octave below the highest allowed pitch
JUMP_COST = 0.35  # a path pays this for every octave between two voiced frames 10 ms apart
VOICING_COST = 0.14  # and this where voicing begins or ends from one to the next
VOICING_THRESHOLD = 0.45  # what "unvoiced" is worth in a frame that is loud enough
SILENCE_THRESHOLD = 0.03  # frames below this part of the loudest are more and more likely unvoiced

Array = NDArray[np.float64]
Single = NDArray[np.float32]


@dataclass(frozen=True)
class Pitch:
    """Pitch of a recording, one value a frame.

    Attributes
    ----------
    f0 : (frames,) Hz, 0 where unvoiced.
    strength : (frames,) height of the autocorrelation peak in [0, 1]: the part of the power that is periodic.
        Of the chosen period where voiced, of the best one where not, 0 in digital silence.
    """

    f0: Array
    strength: Array

    @property
    def voiced(self) -> NDArray[np.bool_]:
        """Return whether a frame is voiced, (frames,)."""
        return self.f0 > 0

    def log_f0(self) -> Array:
        """Return the natural logarithm of F0, linear over unvoiced frames; of 200 Hz if nothing is voiced."""
        if not self.voiced.any():
            return np.full(len(self.f0), np.log(200.0))
        at = np.arange(len(self.f0))
        return np.interp(at, at[self.voiced], np.log(self.f0[self.voiced]))

    def hnr(self) -> Array:
        """Return the harmonics-to-noise ratio, 10 log10(r / (1 − r)), within −20 … 40 dB (Boersma 1993, eq. 4)."""
        return 10.0 * np.log10((self.strength + 1e-2) / (1.0 + 1e-4 - self.strength))


def track(wave: NDArray[np.floating], low: float = LOW, high: float = HIGH, hop: int = HOP) -> Pitch:
    """Return the pitch of a waveform at 16 kHz, searched between ``low`` and ``high`` Hz every ``hop`` samples."""
    samples, _ = scaled(checked(wave))
    framed = cut(samples, frame_length(low), hop)
    size = transform_size(low)
    parts = []
    for block in blocks(len(framed), FEW):
        power, peak = spectra(framed[block], size)
        parts.append((*candidates(power, low, high), peak))
    period, height, peaks = (np.concatenate(part) for part in zip(*parts, strict=True))
    return follow(period, height, peaks, high, hop)


def scaled(samples: Array) -> tuple[Single, float]:
    """Return a waveform without its mean in single precision, its largest sample 1, and what that one was.

    Single precision then does for any gain. What is below 1e-10 is a constant's rounding, and is not raised to 1.
    """
    centred = samples - (samples.mean() if len(samples) else 0.0)
    largest = max(1e-10, float(centred.max(initial=0.0)), -float(centred.min(initial=0.0)))
    centred /= largest
    return centred.astype(np.float32), largest


def frame_length(low: float = LOW) -> int:
    """Return the length of a frame, samples: three periods of the lowest pitch."""
    return round(3 * RATE / low)


@cache
def transform_size(low: float = LOW) -> int:
    """Return how many points of a frame's spectrum give its autocorrelation up to the longest period."""
    length, longest = frame_length(low), int(np.ceil(RATE / low))
    # Lags beyond the size come back from its end. At the last sixteenth of a Hann window's length its
    # autocorrelation is 1e-5 of that at lag 0, so these may.
    return _fast_size(length + longest + 2 - length // 16)


def spectra(framed: Single, size: int) -> tuple[Single, Single]:
    """Return the power spectra of frames under a Hann window, (frames, size // 2 + 1), and their largest samples.

    The mean of each frame is taken out; the sum of squares of the window is not.
    """
    centred = framed - framed.mean(axis=1, keepdims=True)
    peak = np.maximum(centred.max(axis=1), -centred.min(axis=1))
    centred *= _window(framed.shape[1])
    values = np.fft.rfft(centred, size)
    power = np.asarray(values.real**2 + values.imag**2, dtype=np.float32)
    return power, peak


def candidates(power: Single, low: float = LOW, high: float = HIGH) -> tuple[Array, Array]:
    """Return periods in samples and heights, (frames, CANDIDATES) each, of power spectra.

    The highest candidate stands first; places without a candidate hold period 0 and height 0. The spectra have
    ``transform_size`` points.
    """
    shortest, longest = int(RATE / high), int(np.ceil(RATE / low))
    correlation = np.fft.irfft(power, transform_size(low))[:, : longest + 2]
    energy = correlation[:, :1]
    normal = correlation * _over_window(low) / np.maximum(energy, 1e-30)
    inner = normal[:, shortest : longest + 1]
    is_peak = (inner > normal[:, shortest - 1 : longest]) & (inner >= normal[:, shortest + 1 : longest + 2])
    # Peaks below zero never win over "unvoiced", and may go with what is no peak.
    ranked = inner * is_peak
    rows = np.arange(len(power))
    count = np.count_nonzero(ranked > 0.0, axis=1) * (energy[:, 0] > 1e-20)
    # The highest eight one after the other: sorting all of them takes longer.
    best = np.empty((len(power), CANDIDATES), dtype=np.intp)
    for place in range(CANDIDATES):
        best[:, place] = highest = ranked.argmax(axis=1)
        ranked[rows, highest] = 0.0
    is_real = np.arange(CANDIDATES) < count[:, None]
    lag = best + shortest
    # A parabola through three points gives the peak between samples.
    before, at, after = (normal[rows[:, None], lag + step].astype(np.float64) for step in (-1, 0, 1))
    bend = np.minimum(before - 2.0 * at + after, -1e-12)
    shift = np.clip(0.5 * (before - after) / bend, -0.5, 0.5)
    height = at - 0.25 * (before - after) * shift
    return np.where(is_real, lag + shift, 0.0), np.where(is_real, height, 0.0)


def follow(
    period: Array, height: Array, peak: NDArray[np.floating], high: float = HIGH, hop: int = HOP
) -> Pitch:
    """Return the pitch along the best path through candidates, given the largest sample of each frame."""
    # Unvoiced competes with V, and with more the quieter the frame is relative to the loudest.
    relative = peak / max(peak.max(), 1e-12)
    unvoiced = VOICING_THRESHOLD + np.maximum(
        0.0, 2.0 - relative * (1.0 + VOICING_THRESHOLD) / SILENCE_THRESHOLD
    )
    octaves = np.log2(RATE / np.maximum(period, 1.0))
    score = np.where(period > 0, height - OCTAVE_COST * (np.log2(high) - octaves), -np.inf)
    # What falls behind "unvoiced" by more than two changes of voicing is on no best path.
    is_rival = score > unvoiced[:, None] - 2.0 * VOICING_COST * HOP / hop
    rivals = 1 + int(np.flatnonzero(is_rival.any(axis=0)).max(initial=0))
    chosen = _best_path(octaves[:, :rivals], np.c_[score[:, :rivals], unvoiced], HOP / hop)
    rows = np.arange(len(chosen))
    voiced = chosen < rivals
    column = np.where(voiced, chosen, 0)  # the first candidate is the highest peak
    f0 = np.where(voiced, RATE / np.maximum(period[rows, column], 1.0), 0.0)
    return Pitch(f0, np.clip(height[rows, column], 0.0, 1.0))


def _best_path(octaves: Array, score: Array, scale: float = 1.0) -> NDArray[np.intp]:
    """Return the best candidate of every frame, (frames,): what Viterbi's algorithm finds.

    ``octaves`` (frames, k) is log2 of the candidates; ``score`` (frames, k + 1) is what each is worth, with
    "unvoiced" last. Costs of transitions are taken ``scale`` times: 0.01 s over the distance of frames, as Praat
    does it.
    """
    count, states = score.shape
    if count == 1:
        return np.asarray(score.argmax(axis=1))
    worth = np.full((count - 1, states, states), -VOICING_COST * scale)
    worth[:, :-1, :-1] = -JUMP_COST * scale * np.abs(octaves[:-1, :, None] - octaves[1:, None, :])
    worth[:, -1, -1] = 0.0
    worth += score[1:, None, :]
    worth[0] += score[0][:, None]
    return _states(worth)


def _states(worth: Array) -> NDArray[np.intp]:
    """Return the states of the best path, (steps + 1,), where a step from i to j is worth ``worth[step, i, j]``.

    Every second frame is taken out, its best state being known for each pair of states around it; the path through
    the others is found in the same way, and they then say the state between. So all frames are done at once in a
    few rounds, where Viterbi's algorithm goes from one to the next.
    """
    steps, states = len(worth), worth.shape[1]
    if steps == 1:
        return np.array(np.unravel_index(worth[0].argmax(), (states, states)))
    pairs = steps // 2
    into, out_of = worth[0 : 2 * pairs : 2], worth[1 : 2 * pairs : 2]
    both = into[:, :, :1] + out_of[:, :1, :]
    for state in range(1, states):
        np.maximum(both, into[:, :, state, None] + out_of[:, state, None, :], out=both)
    kept = _states(np.concatenate([both, worth[2 * pairs :]]))
    path = np.empty(steps + 1, dtype=np.intp)
    path[0 : 2 * pairs + 1 : 2] = kept[: pairs + 1]
    path[2 * pairs :] = kept[pairs:]
    at = np.arange(pairs)
    through = into[at, kept[:pairs]] + out_of[at, :, kept[1 : pairs + 1]]
    path[1 : 2 * pairs : 2] = through.argmax(axis=1)
    return path


@cache
def _window(length: int) -> Single:
    """Return Hann's window without its zeros, (length,)."""
    return np.asarray(np.hanning(length + 2)[1:-1], dtype=np.float32)


@cache
def _over_window(low: float) -> Single:
    """Return what the autocorrelation of a frame at each lag is multiplied with, (longest period + 2,)."""
    window = np.hanning(frame_length(low) + 2)[1:-1]
    of_window = np.fft.irfft(np.abs(np.fft.rfft(window, 2 * len(window))) ** 2)
    return np.asarray(of_window[0] / of_window[: int(np.ceil(RATE / low)) + 2], dtype=np.float32)


def _fast_size(least: int) -> int:
    """Return the next even size with no prime factor above 5, which transforms fast."""
    size = least + least % 2
    while True:
        rest = size
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return size
        size += 2
