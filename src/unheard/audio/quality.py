"""How good a recording is, measured from its samples: bandwidth, noise, share of speech, duration.

The ranges of these measures over the training clips of a model (:func:`ranges`) tell which other recordings are
unlike its training data (:func:`outside`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from unheard.audio.activity import HOP, SILENT, Frames, measure, segments
from unheard.audio.resample import RATE

BANDS = 32  # of 250 Hz, for the bandwidth
WITHIN = 60.0  # dB below the loudest band; weaker bands count as empty
CLEANEST = 60.0  # dB, the largest SNR that is reported: the resolution of 16 bits limits it
NOISIEST = -20.0  # dB, the smallest SNR that is reported
MIN_PAUSES = 10  # frames of pauses that the noise is measured in
PERCENTILES = (1, 99)

Wave = NDArray[np.float32]
Ranges = Mapping[str, tuple[float | None, float | None]]


@dataclass(frozen=True)
class Quality:
    """Measures of one recording.

    Attributes
    ----------
    bandwidth : upper edge, in Hz, of the highest band of 250 Hz whose mean power lies within 60 dB of the loudest
    one.
    snr : power of speech over that of the noise in dB, up to 60. The noise is the median where nobody speaks
        (digital silence left out); where the recording has less than 0.1 s of that, the mean of its quietest
        tenth, and the value is then a lower bound. None where nobody speaks.
    speech : share of the time in which somebody speaks, 0 to 1.
    seconds : duration.
    """

    bandwidth: float
    snr: float | None
    speech: float
    seconds: float

    def as_dict(self) -> dict[str, float | None]:
        """Return the rounded values, for JSON."""
        return {
            "bandwidth": self.bandwidth,
            "snr": None if self.snr is None else round(self.snr, 1),
            "speech": round(self.speech, 3),
            "seconds": round(self.seconds, 3),
        }


#: Ends of a range beyond which a bundle warns; less noise or more speech than in training is no reason to warn.
ENDS = {"bandwidth": ("low",), "snr": ("low",), "speech": ("low",), "seconds": ("low", "high")}


def quality(recording: Wave | Frames, spoken: Sequence[tuple[float, float]] | None = None) -> Quality:
    """Measure a recording: (n,) samples at 16 kHz, or its frames; ``spoken`` are its segments where known."""
    frames = recording if isinstance(recording, Frames) else measure([recording])
    spoken = segments(frames) if spoken is None else spoken
    seconds = sum(end - start for start, end in spoken)
    return Quality(
        bandwidth=_bandwidth(frames.spectrum),
        snr=_snr(frames, spoken),
        speech=seconds / frames.seconds if frames.seconds else 0.0,
        seconds=frames.seconds,
    )


def ranges(clips: Iterable[Quality]) -> dict[str, tuple[float | None, float | None]]:
    """Return (low, high) of each measure over training clips: first and last percentile, None for an open end.

    The noise of clips without speech is not known; they are left out of ``snr``.

    Raises
    ------
    ValueError
        No clip has any speech.
    """
    found = [asdict(clip) for clip in clips]
    bounds: dict[str, tuple[float | None, float | None]] = {}
    for name, ends in ENDS.items():
        values = [clip[name] for clip in found if clip[name] is not None]
        if not values:
            raise ValueError(
                "no training clip has speech; the ranges of the training data cannot be measured"
            )
        low, high = (round(float(value), 3) for value in np.percentile(values, PERCENTILES))
        bounds[name] = (low if "low" in ends else None, high if "high" in ends else None)
    return bounds


def outside(clip: Quality, training_range: Ranges) -> tuple[str, ...]:
    """Return flags of the measures in which a recording lies outside the ranges of the training clips.

    ``narrower`` (bandwidth), ``noisier`` (SNR), ``little_speech``, ``shorter``, ``longer``; ``no_speech`` where
    nobody speaks at all, which needs no range.
    """
    flags: Sequence[tuple[str, str, bool]] = (
        ("bandwidth", "narrower", False),
        ("snr", "noisier", False),
        ("speech", "little_speech", False),
        ("seconds", "shorter", False),
        ("seconds", "longer", True),
    )
    found = tuple(
        flag for name, flag, upper in flags if _leaves(getattr(clip, name), training_range.get(name), upper)
    )
    if clip.speech == 0:
        return ("no_speech", *(flag for flag in found if flag != "little_speech"))
    return found


def _leaves(value: float | None, bounds: tuple[float | None, float | None] | None, upper: bool) -> bool:
    bound = None if bounds is None else bounds[int(upper)]
    if bound is None or value is None:
        return False
    return value > bound if upper else value < bound


def _bandwidth(spectrum: NDArray[np.float64]) -> float:
    bands = spectrum[:-1].reshape(BANDS, -1).mean(axis=1)
    if bands.max() <= 0:
        return 0.0
    highest = np.flatnonzero(bands >= bands.max() * 10 ** (-WITHIN / 10))[-1]
    return float((highest + 1) * RATE / 2 / BANDS)


def _snr(frames: Frames, spoken: Sequence[tuple[float, float]]) -> float | None:
    if not spoken:
        return None
    speech = np.zeros(len(frames.level), dtype=bool)
    for start, end in spoken:
        speech[round(start * RATE / HOP) : round(end * RATE / HOP)] = True
    power = 10 ** (frames.level.astype(np.float64) / 10)
    pauses = power[~speech & (frames.level > SILENT)]
    # A median, since a breath or a click in a pause is no noise over the speech.
    noise = float(np.median(pauses)) if len(pauses) >= MIN_PAUSES else _quietest(power[speech])
    signal = max(power[speech].mean() - noise, 0.0)
    with np.errstate(divide="ignore"):
        return float(np.clip(10 * np.log10(signal / max(noise, 1e-12)), NOISIEST, CLEANEST))


def _quietest(power: NDArray[np.float64]) -> float:
    return float(np.sort(power)[: max(1, len(power) // 10)].mean())
