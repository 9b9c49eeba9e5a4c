"""Functionals: one row of statistics a recording, over the low-level descriptors of ``descriptors``.

No dimension but ``loudest`` depends on the gain of the recording. Statistics "of voiced frames" take all frames
where fewer than three are voiced.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import combinations, pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from unheard.audio.resample import RATE
from unheard.features.descriptors import BANDS, NAMES, Descriptors, describe
from unheard.features.pitch import HOP

FRAMES_PER_SECOND = RATE / HOP
LAGS = (2, 10)  # frames: 20 ms, within a sound; 100 ms, from sound to sound
CONTOUR = 4  # cosines over the length of the recording
RATES = (0.5, 1.5, 2.5, 4.0, 6.0, 9.0, 14.0, 22.0)  # Hz, edges of the modulation bands
PERCENTILES = (5, 20, 50, 80, 95)
RELATED = (
    "level", "pitch", "strength", "centroid", "flatness", "flux", "alpha_ratio", "slope_0_500",
    "mfcc1", "mfcc2", "mfcc3", "mfcc4",
)  # fmt: skip
MEL_GROUPS = 6  # neighbouring mel bands, four in each
MOVING = ("pitch", "level", "strength")
INTONATION = (
    "pitch_step", "level_step", "strength_step", "pitch_rising_share", "pitch_rise", "pitch_fall",
    "pitch_step_sd", "pitch_bend", "level_bend",
)  # fmt: skip
RHYTHM = (
    "voiced_share", "voiced_per_second", "voiced_seconds_mean", "voiced_seconds_sd", "voiced_seconds_longest",
    "pause_seconds_mean", "pause_seconds_sd", "pause_seconds_longest", "peaks_per_second", "loud_share",
    "log_seconds",
)  # fmt: skip
TINY = 1e-3  # keeps the logarithm of a spread finite

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Functionals:
    """Statistics of level, spectrum, voice quality, pitch and rhythm, (590,) float32.

    For every descriptor D of ``descriptors.NAMES``:

    ``D_mean``
        mean over voiced frames;
    ``D_sd``
        natural logarithm of the standard deviation over all frames;
    ``D_step20ms``, ``D_step100ms``
        natural logarithm of the mean absolute difference over that time, in standard deviations;
    ``D_upper``, ``D_lower``
        distance of the 90 % and the 10 % percentile from the median, over voiced frames;
    ``D_contour1`` … ``D_contour4``
        coefficients of one to four half waves of a cosine along the voiced frames.

    For some: ``A~B`` (Fisher's z of their correlation over voiced frames), ``D_p05`` …, ``D_range90``,
    ``D_range60`` (percentiles and distances of them, over voiced frames), ``D_step``, ``D_bend`` (mean absolute
    first and second difference within voiced stretches: for pitch and level kin of jitter and shimmer). For six
    groups of mel bands: ``melG_modulation_AtoBhz``, natural logarithm of the power of changes at A to B Hz.
    Then rhythm (``_rhythm``), and ``loudest``, decibels of full scale of the loudest frame.
    """

    version: ClassVar[int] = 2

    def compute(self, wave: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (dims,) of a waveform at 16 kHz, full scale ±1."""
        return np.concatenate(list(summarise(describe(wave)).values())).astype(np.float32)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the dimensions."""
        return tuple(name for group in _names().values() for name in group)


def summarise(d: Descriptors) -> dict[str, Array]:
    """Return the statistics of a recording's descriptors by group, each (dims of the group,)."""
    every = d.values
    voiced = every[d.voiced] if d.voiced.sum() >= 3 else every
    spread = every.std(axis=0)
    low, middle, high = np.percentile(voiced, (10, 50, 90), axis=0)
    relative = every / (spread + 1e-6)
    return {
        "mean": voiced.mean(axis=0),
        "sd": np.log(spread + TINY),
        "step20ms": _steps(relative, LAGS[0]),
        "step100ms": _steps(relative, LAGS[1]),
        "upper": high - middle,
        "lower": middle - low,
        "contour": _contour(voiced),
        "correlation": _correlations(voiced[:, _columns(RELATED)]),
        "percentiles": _percentiles(voiced[:, _columns(MOVING)]),
        "intonation": _intonation(every[:, _columns(MOVING)], d.voiced),
        "modulation": _modulation(_mel_groups(d.mel)),
        "rhythm": _rhythm(every[:, NAMES.index("level")], d.voiced),
        "loudest": np.array([d.loudest]),
    }


@cache
def _names() -> dict[str, tuple[str, ...]]:
    """Return the names of each group of ``summarise``, in the order of its values."""
    bands = [f"{low:g}to{high:g}hz" for low, high in pairwise(RATES)]
    shares = [*(f"p{share:02d}" for share in PERCENTILES), "range90", "range60"]
    alone = ("mean", "sd", "step20ms", "step100ms", "upper", "lower")
    return {
        **{kind: tuple(f"{name}_{kind}" for name in NAMES) for kind in alone},
        "contour": tuple(f"{name}_contour{k}" for k in range(1, CONTOUR + 1) for name in NAMES),
        "correlation": tuple(f"{a}~{b}" for a, b in combinations(RELATED, 2)),
        "percentiles": tuple(f"{name}_{share}" for share in shares for name in MOVING),
        "intonation": INTONATION,
        "modulation": tuple(f"mel{g}_modulation_{band}" for band in bands for g in range(MEL_GROUPS)),
        "rhythm": RHYTHM,
        "loudest": ("loudest",),
    }


@cache
def _columns(names: tuple[str, ...]) -> list[int]:
    return [NAMES.index(name) for name in names]


def _steps(values: Array, lag: int) -> Array:
    """Return the logarithm of the mean absolute difference over ``lag`` frames."""
    lag = min(lag, len(values) - 1)
    if lag < 1:
        return np.full(values.shape[1], np.log(TINY))
    steps: Array = np.abs(values[lag:] - values[:-lag]).mean(axis=0)
    return np.log(steps + TINY)


def _contour(values: Array) -> Array:
    """Return the first cosine coefficients of each column over the recording, (CONTOUR · columns,)."""
    at = (np.arange(len(values)) + 0.5) / len(values)
    waves = np.cos(np.pi * np.outer(np.arange(1, CONTOUR + 1), at))
    coefficients: Array = waves @ values / len(values)
    return coefficients.ravel()


def _modulation(values: Array) -> Array:
    """Return the logarithm of the power of changes within each band of ``RATES``, (bands · columns,)."""
    count = len(values)
    size = max(1024, 1 << (count - 1).bit_length())
    centred = (values - values.mean(axis=0)) * np.hanning(count)[:, None]
    power = np.abs(np.fft.rfft(centred, size, axis=0)) ** 2 / count
    hertz = np.fft.rfftfreq(size, 1 / FRAMES_PER_SECOND)
    bands = [power[(hertz >= low) & (hertz < high)].mean(axis=0) for low, high in pairwise(RATES)]
    logs: Array = np.log(np.concatenate(bands) + 1e-6)
    return logs


def _correlations(values: Array) -> Array:
    """Return Fisher's z of the correlations of all pairs of columns."""
    z = (values - values.mean(axis=0)) / (values.std(axis=0) + 1e-6)
    r = (z.T @ z / len(z))[np.triu_indices(values.shape[1], 1)]
    z_of_r: Array = np.arctanh(np.clip(r, -0.99, 0.99))
    return z_of_r


def _intonation(values: Array, is_voiced: NDArray[np.bool_]) -> Array:
    """Return how the columns ``MOVING`` go from one voiced frame to the next."""
    pair = is_voiced[1:] & is_voiced[:-1]
    triple = pair[1:] & pair[:-1]
    if not triple.any():
        return np.zeros(9)
    step = np.diff(values, axis=0)[pair]
    bend = np.abs(np.diff(values[:, :2], n=2, axis=0))[triple]
    rising = step[:, 0]
    return np.concatenate(
        [
            np.abs(step).mean(axis=0),
            [(rising > 0).mean(), np.maximum(rising, 0).mean(), np.minimum(rising, 0).mean(), rising.std()],
            bend.mean(axis=0),
        ]
    )


def _percentiles(values: Array) -> Array:
    p = np.percentile(values, PERCENTILES, axis=0)
    return np.concatenate([p.ravel(), p[4] - p[0], p[3] - p[1]])


def _rhythm(level: Array, is_voiced: NDArray[np.bool_]) -> Array:
    """Return voicing and pauses in seconds, syllables a second, and the length of the recording."""
    edges = np.diff(np.concatenate([[0], is_voiced.astype(int), [0]]))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    stretches = (ends - starts) / FRAMES_PER_SECOND if len(starts) else np.zeros(1)
    pauses = (starts[1:] - ends[:-1]) / FRAMES_PER_SECOND if len(starts) > 1 else np.zeros(1)
    seconds = len(level) / FRAMES_PER_SECOND
    bell = np.hanning(11)
    smooth = np.convolve(level, bell / bell.sum(), "same")
    loud = smooth > level.max() - 25.0
    peaks = loud[1:-1] & (smooth[1:-1] > smooth[:-2]) & (smooth[1:-1] >= smooth[2:])
    return np.array(
        [
            is_voiced.mean(),
            len(starts) / seconds,
            stretches.mean(),
            stretches.std(),
            stretches.max(),
            pauses.mean(),
            pauses.std(),
            pauses.max(),
            peaks.sum() / seconds,
            (level > level.max() - 25.0).mean(),
            np.log(seconds),
        ]
    )


def _mel_groups(mel: Array) -> Array:
    """Return the means of neighbouring bands, the highest two left out, (frames, MEL_GROUPS)."""
    width = BANDS // MEL_GROUPS
    means: Array = mel[:, : width * MEL_GROUPS].reshape(len(mel), MEL_GROUPS, width).mean(axis=2)
    return means
