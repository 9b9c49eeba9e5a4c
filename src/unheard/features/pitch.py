"""Fundamental frequency by normalised autocorrelation and the cheapest path through its peaks.

The method is Boersma's (1993, "Accurate short-term analysis of the fundamental frequency and the
harmonics-to-noise ratio of a sampled sound"): the autocorrelation of a windowed frame over the window's,
its peaks as candidates, one candidate more for "unvoiced", and a path that pays for jumps in octaves and for
changes of voicing. Frame t is centred on (t + ½)·10 ms. The result does not depend on the gain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unheard.audio.resample import RATE
from unheard.features.frames import blocks, checked, frames

HOP = 160  # samples, 10 ms
CANDIDATES = 8  # peaks of a frame that may be its period
OCTAVE_COST = 0.01  # a candidate pays this for every octave below the highest allowed pitch
JUMP_COST = 0.35  # a path pays this for every octave between two voiced frames
VOICING_COST = 0.14  # and this where voicing begins or ends
VOICING_THRESHOLD = 0.45  # what "unvoiced" is worth in a frame that is loud enough
SILENCE_THRESHOLD = 0.03  # frames below this part of the loudest are more and more likely unvoiced

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Pitch:
    """Pitch of a recording, one value a frame of 10 ms.

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
        """Whether a frame is voiced, (frames,)."""
        return self.f0 > 0

    def log_f0(self) -> Array:
        """Natural logarithm of F0, straight lines over unvoiced frames; of 200 Hz if nothing is voiced."""
        if not self.voiced.any():
            return np.full(len(self.f0), np.log(200.0))
        at = np.arange(len(self.f0))
        return np.interp(at, at[self.voiced], np.log(self.f0[self.voiced]))

    def hnr(self) -> Array:
        """Harmonics-to-noise ratio in dB, 10 log10(r / (1 − r)), within −20 … 40 (Boersma 1993, eq. 4)."""
        return 10.0 * np.log10((self.strength + 1e-2) / (1.0 + 1e-4 - self.strength))


def track(wave: NDArray[np.floating], low: float = 60.0, high: float = 650.0) -> Pitch:
    """Return the pitch of a waveform at 16 kHz, searched between ``low`` and ``high`` Hz."""
    length = round(3 * RATE / low)
    cut = frames(checked(wave), length, HOP)
    candidates = [_candidates(cut[block], low, high) for block in blocks(len(cut))]
    period, height, peak = (np.concatenate(part) for part in zip(*candidates, strict=True))
    # Unvoiced competes with V, and with more the quieter the frame is beside the loudest.
    relative = peak / max(peak.max(), 1e-12)
    unvoiced = VOICING_THRESHOLD + np.maximum(
        0.0, 2.0 - relative * (1.0 + VOICING_THRESHOLD) / SILENCE_THRESHOLD
    )
    score = np.where(
        period > 0, height - OCTAVE_COST * np.log2(np.maximum(period, 1.0) * (high / RATE)), -np.inf
    )
    chosen = _best_path(np.log2(RATE / np.maximum(period, 1.0)), np.c_[score, unvoiced])
    rows = np.arange(len(chosen))
    voiced = chosen < period.shape[1]
    column = np.where(voiced, chosen, 0)  # the first candidate is the highest peak
    f0 = np.where(voiced, RATE / np.maximum(period[rows, column], 1.0), 0.0)
    return Pitch(f0, np.clip(height[rows, column], 0.0, 1.0))


def _candidates(cut: Array, low: float, high: float) -> tuple[Array, Array, Array]:
    """Return periods in samples and heights, (frames, CANDIDATES) each, and the largest samples, (frames,).

    The highest candidate stands first; places without a candidate hold period 0 and height 0.
    """
    length = cut.shape[1]
    shortest, longest = int(RATE / high), int(np.ceil(RATE / low))
    window = np.hanning(length + 2)[1:-1]
    centred = cut - cut.mean(axis=1, keepdims=True)
    size = _fast_size(length + longest + 2)
    spectrum = np.fft.rfft(centred * window, size)
    correlation = np.fft.irfft(spectrum.real**2 + spectrum.imag**2, size)[:, : longest + 2]
    of_window = np.fft.irfft(np.abs(np.fft.rfft(window, size)) ** 2, size)[: longest + 2]
    power = correlation[:, :1]
    normal = correlation / np.maximum(power, 1e-30) * (of_window[0] / of_window)
    inner = normal[:, shortest : longest + 1]
    is_peak = (inner > normal[:, shortest - 1 : longest]) & (inner >= normal[:, shortest + 1 : longest + 2])
    ranked = np.where(is_peak & (power > 1e-20), inner, -np.inf)
    best = np.argpartition(-ranked, CANDIDATES, axis=1)[:, :CANDIDATES]
    order = np.argsort(-np.take_along_axis(ranked, best, axis=1), axis=1, kind="stable")
    best = np.take_along_axis(best, order, axis=1)
    real = np.isfinite(np.take_along_axis(ranked, best, axis=1))
    lag = best + shortest
    # A parabola through three points gives the peak between samples.
    before, at, after = (np.take_along_axis(normal, lag + step, axis=1) for step in (-1, 0, 1))
    bend = np.minimum(before - 2.0 * at + after, -1e-12)
    shift = np.clip(0.5 * (before - after) / bend, -0.5, 0.5)
    height = at - 0.25 * (before - after) * shift
    return np.where(real, lag + shift, 0.0), np.where(real, height, 0.0), np.abs(centred).max(axis=1)


def _best_path(octaves: Array, score: Array) -> NDArray[np.intp]:
    """Return the best candidate of every frame, (frames,), by Viterbi's algorithm.

    ``octaves`` (frames, k) is log2 of the candidates; ``score`` (frames, k + 1) is what each is worth, with
    "unvoiced" last.
    """
    count, states = score.shape
    cost = np.full((count - 1, states, states), VOICING_COST)
    cost[:, :-1, :-1] = JUMP_COST * np.abs(octaves[:-1, :, None] - octaves[1:, None, :])
    cost[:, -1, -1] = 0.0
    came_from = np.zeros((count, states), dtype=np.intp)
    total = score[0]
    columns = np.arange(states)
    for t in range(1, count):
        through = total[:, None] - cost[t - 1]
        came_from[t] = best = through.argmax(axis=0)
        total = through[best, columns] + score[t]
    path = np.empty(count, dtype=np.intp)
    path[-1] = total.argmax()
    for t in range(count - 1, 0, -1):
        path[t - 1] = came_from[t, path[t]]
    return path


def _fast_size(least: int) -> int:
    """Return the next size with no prime factor above 5, which transforms fast."""
    size = least
    while True:
        rest = size
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return size
        size += 1
