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
from unheard.errors import UsageError
from unheard.features.contract import Spec
from unheard.features.descriptors import BANDS, NAMES, Descriptors, describe

HOPS = (0.01, 0.02)  # seconds
LAGS = (0.02, 0.10)  # seconds: within a sound; from sound to sound
SWELL = 0.05  # seconds, half the window that the level is smoothed with before its peaks are counted
QUANTILES = (5, 10, 20, 50, 80, 90, 95)  # percent
CONTOUR = 4  # cosines over the length of the recording
RATES = (0.5, 1.5, 2.5, 4.0, 6.0, 9.0, 14.0, 22.0)  # Hz, edges of the modulation bands
MIN_SECONDS = 10.24  # what the spectrum of changes is taken over at least, padded with zeros
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
class Functionals(Spec):
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

    Parameters
    ----------
    hop : seconds from one frame to the next, one of ``HOPS``. The larger takes half the time. Durations are in
        seconds and pitch and level steps per 10 ms with either; ``flux``, ``rise`` and ``turn`` are changes over
        one hop, and larger with the larger one.
    """

    hop: float = 0.01

    name: ClassVar[str] = "functionals"
    version: ClassVar[int] = 2

    def __post_init__(self) -> None:
        if self.hop not in HOPS:
            raise UsageError(
                f"functionals hop: {self.hop:g}; choose from: {', '.join(map(str, HOPS))} (seconds)"
            )

    def compute(self, wave: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (dims,) of a waveform at 16 kHz, full scale ±1."""
        return np.concatenate(
            list(summarise(describe(wave, round(self.hop * RATE)), self.hop).values())
        ).astype(np.float32)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the dimensions."""
        return tuple(name for group in _names().values() for name in group)


def summarise(d: Descriptors, hop: float = 0.01) -> dict[str, Array]:
    """Return the statistics of descriptors every ``hop`` seconds by group, each (dims of the group,)."""
    every = d.values
    voiced = every[d.voiced] if d.voiced.sum() >= 3 else every
    spread = every.std(axis=0)
    quantiles = dict(zip(QUANTILES, _quantiles(voiced), strict=True))
    return {
        "mean": voiced.mean(axis=0),
        "sd": np.log(spread + TINY),
        "step20ms": _steps(every, spread, round(LAGS[0] / hop)),
        "step100ms": _steps(every, spread, round(LAGS[1] / hop)),
        "upper": quantiles[90] - quantiles[50],
        "lower": quantiles[50] - quantiles[10],
        "contour": _contour(voiced),
        "correlation": _correlations(voiced[:, _columns(RELATED)]),
        "percentiles": _percentiles([quantiles[share][_columns(MOVING)] for share in PERCENTILES]),
        "intonation": _intonation(every[:, _columns(MOVING)], d.voiced, hop),
        "modulation": _modulation(_mel_groups(d.mel), hop),
        "rhythm": _rhythm(every[:, NAMES.index("level")], d.voiced, hop),
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


def _quantiles(values: Array) -> Array:
    """Return ``QUANTILES`` of each column, linear between neighbours, (quantiles, columns)."""
    rising = np.sort(values.T, axis=1)  # once for all of them
    at = np.array(QUANTILES) / 100.0 * (len(values) - 1)
    below = at.astype(np.intp)
    above = np.minimum(below + 1, len(values) - 1)
    found: Array = rising[:, below] + (rising[:, above] - rising[:, below]) * (at - below)
    return found.T


def _steps(values: Array, spread: Array, lag: int) -> Array:
    """Return the logarithm of the mean absolute difference over ``lag`` frames, in standard deviations."""
    lag = min(lag, len(values) - 1)
    if lag < 1:
        return np.full(values.shape[1], np.log(TINY))
    steps: Array = np.abs(values[lag:] - values[:-lag]).mean(axis=0) / (spread + 1e-6)
    return np.log(steps + TINY)


def _contour(values: Array) -> Array:
    """Return the first cosine coefficients of each column over the recording, (CONTOUR · columns,)."""
    at = (np.arange(len(values)) + 0.5) / len(values)
    waves = np.cos(np.pi * np.outer(np.arange(1, CONTOUR + 1), at))
    coefficients: Array = waves @ values / len(values)
    return coefficients.ravel()


def _modulation(values: Array, hop: float) -> Array:
    """Return the logarithm of the power of changes within each band of ``RATES``, (bands · columns,)."""
    count = len(values)
    size = max(round(MIN_SECONDS / hop), 1 << (count - 1).bit_length())
    centred = (values - values.mean(axis=0)) * np.hanning(count)[:, None]
    # Power a Hz, so that it does not depend on the number of frames.
    power = np.abs(np.fft.rfft(centred, size, axis=0)) ** 2 * (hop / 0.01 / count)
    # The first point of each band: point k stands for k / (size · hop) Hz.
    edges = np.ceil(np.array(RATES) * (size * hop)).astype(int)
    bands = [power[low:high].mean(axis=0) for low, high in pairwise(edges)]
    logs: Array = np.log(np.concatenate(bands) + 1e-6)
    return logs


def _correlations(values: Array) -> Array:
    """Return Fisher's z of the correlations of all pairs of columns."""
    z = (values - values.mean(axis=0)) / (values.std(axis=0) + 1e-6)
    r = (z.T @ z / len(z))[np.triu_indices(values.shape[1], 1)]
    z_of_r: Array = np.arctanh(np.clip(r, -0.99, 0.99))
    return z_of_r


def _intonation(values: Array, is_voiced: NDArray[np.bool_], hop: float) -> Array:
    """Return how the columns ``MOVING`` go from one voiced frame to the next, per 10 ms."""
    pair = is_voiced[1:] & is_voiced[:-1]
    triple = pair[1:] & pair[:-1]
    if not triple.any():
        return np.zeros(9)
    time = hop / 0.01
    step = np.diff(values, axis=0)[pair] / time
    bend = np.abs(np.diff(values[:, :2], n=2, axis=0))[triple] / time**2
    rising = step[:, 0]
    return np.concatenate(
        [
            np.abs(step).mean(axis=0),
            [(rising > 0).mean(), np.maximum(rising, 0).mean(), np.minimum(rising, 0).mean(), rising.std()],
            bend.mean(axis=0),
        ]
    )


def _percentiles(p: list[Array]) -> Array:
    """Return ``PERCENTILES`` and the distances of the outer and the inner ones."""
    return np.concatenate([*p, p[4] - p[0], p[3] - p[1]])


def _rhythm(level: Array, is_voiced: NDArray[np.bool_], hop: float) -> Array:
    """Return voicing and pauses in seconds, syllables a second, and the length of the recording."""
    edges = np.diff(np.concatenate([[0], is_voiced.astype(int), [0]]))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    stretches = (ends - starts) * hop if len(starts) else np.zeros(1)
    pauses = (starts[1:] - ends[:-1]) * hop if len(starts) > 1 else np.zeros(1)
    seconds = len(level) * hop
    half = round(SWELL / hop - 0.5)
    bell = 1.0 + np.cos(np.pi * np.arange(-half, half + 1) * (hop / SWELL))
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
