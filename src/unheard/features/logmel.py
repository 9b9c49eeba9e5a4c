"""Log-mel spectrogram: one implementation, whose fields say whose conventions it follows.

``KALDI`` (the defaults) equals Kaldi's ``fbank`` without dither; ``LIBROSA`` equals the decibels of
``librosa.feature.melspectrogram`` at 16 kHz. Anything between them is a set of plain fields:
``dataclasses.replace(KALDI, bands=40)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from unheard.audio.resample import RATE
from unheard.errors import UsageError
from unheard.features.contract import Spec
from unheard.features.frames import BLOCK, EDGES, blocks, checked, count, frames
from unheard.features.mel import NORMS, SCALES, TRIANGLES, mel_filters
from unheard.settings import OneOf, Within, check

#: Frames whose spectra are computed together.
FEW = 32
WINDOWS = ("povey", "hamming", "hann", "hann_periodic")


@dataclass(frozen=True)
class LogMel(Spec):
    """Log energies in mel bands, (frames, bands) float32.

    Parameters
    ----------
    bands : mel bands.
    frame, hop : frame length and distance, seconds.
    fft : points of the transform, at least the samples of a frame.
    low, high : lowest and highest frequency of the filterbank, Hz.
    window : ``povey`` (Hann to the power 0.85), ``hamming``, ``hann`` (all symmetric), ``hann_periodic``.
    edges : how frames are placed, ``snip``, ``mirror`` or ``zeros`` (see ``frames``).
    scale, triangles, norm : settings of the filterbank (see ``mel``).
    preemphasis : x[t] − preemphasis · x[t − 1] within a frame; 0 for none.
    remove_dc : whether a frame's mean is taken off first.
    gain : factor on the waveform; Kaldi reads 16-bit integers as they are, 32768.
    power : exponent of the magnitude, 2 (power) or 1.
    log : ``natural``, ``decibel`` (10 log10) or ``none``.
    floor : least energy before the logarithm.
    """

    bands: Annotated[int, Within(1, 1024)] = 80
    frame: float = 0.025
    hop: float = 0.010
    fft: Annotated[int, Within(1, 65_536)] = 512
    low: float = 20.0
    high: float = 8000.0
    window: Annotated[str, OneOf(*WINDOWS)] = "povey"
    edges: Annotated[str, OneOf(*EDGES)] = "snip"
    scale: Annotated[str, OneOf(*SCALES)] = "htk"
    triangles: Annotated[str, OneOf(*TRIANGLES)] = "mel"
    norm: Annotated[str, OneOf(*NORMS)] = "none"
    preemphasis: Annotated[float, Within(-1, 1)] = 0.97
    remove_dc: bool = True
    gain: Annotated[float, Within(0, 100_000)] = 32768.0
    power: Annotated[float, Within(0, 3)] = 2.0
    log: Annotated[str, OneOf("natural", "decibel", "none")] = "natural"
    floor: Annotated[float, Within(0, 1_000_000)] = float(np.finfo(np.float32).eps)

    name: ClassVar[str] = "logmel"
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check(self, "logmel")
        if not 1 / RATE <= self.hop <= 1 or not 2 / RATE <= self.frame <= 1:
            raise UsageError(f"logmel frame and hop are seconds up to 1: found {self.frame} and {self.hop}")
        if self.fft < self._length:
            raise UsageError(f"logmel fft: {self.fft} points are fewer than the {self._length} of a frame")
        if not 0 <= self.low < self.high <= RATE / 2:
            raise UsageError(
                f"logmel low and high must satisfy 0 <= low < high <= {RATE / 2:g} Hz: "
                f"found {self.low:g} and {self.high:g}"
            )
        if self.power <= 0 or self.gain <= 0 or self.floor <= 0:
            raise UsageError("logmel power, gain and floor must be above 0")

    def compute(self, wave: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (frames, bands) of a waveform at 16 kHz, full scale ±1."""
        cut = frames(checked(wave), self._length, self._hop, self.edges)
        weights = mel_filters(
            self.bands, self.fft, self.low, self.high, self.scale, self.triangles, self.norm
        ).T
        shape = window(self.window, self._length)
        out = np.empty((len(cut), self.bands), dtype=np.float32)
        room = np.empty((min(len(cut), BLOCK), len(weights)))
        for block in blocks(len(cut)):
            part = cut[block]
            spectra = room[: len(part)]
            # A few frames at a time: arrays that fit the cache and are not given back to the system each time
            # make this more than twice as fast.
            for few in blocks(len(part), FEW):
                spectra[few] = self._spectrum(part[few], shape)
            out[block] = self._logarithm(spectra @ weights)
        return out

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the dimensions, lowest band first."""
        return tuple(f"mel{band:02d}" for band in range(self.bands))

    @property
    def frames_per_second(self) -> float:
        """Return the number of frames a second."""
        return RATE / self._hop

    def count(self, samples: int) -> int:
        """Return the number of frames of so many samples."""
        return count(samples, self._length, self._hop, self.edges)

    @property
    def _length(self) -> int:
        return round(self.frame * RATE)

    @property
    def _hop(self) -> int:
        return round(self.hop * RATE)

    def _spectrum(self, cut: NDArray[np.float64], shape: NDArray[np.float64]) -> NDArray[np.float64]:
        work = cut * self.gain
        if self.remove_dc:
            work -= work.mean(axis=1, keepdims=True)
        if self.preemphasis:
            # The first sample has no predecessor and counts as its own, as in Kaldi.
            work[:, 1:] -= self.preemphasis * work[:, :-1]
            work[:, 0] *= 1.0 - self.preemphasis
        values = np.fft.rfft(work * shape, self.fft)
        power: NDArray[np.float64] = values.real**2 + values.imag**2
        return power if self.power == 2.0 else power ** (self.power / 2.0)

    def _logarithm(self, energies: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.log == "none":
            return energies
        logs: NDArray[np.float64] = np.log(np.maximum(energies, self.floor))
        return logs if self.log == "natural" else logs * (10.0 / np.log(10.0))


def window(name: str, length: int) -> NDArray[np.float64]:
    """Return a window of ``WINDOWS``, (length,)."""
    steps = length if name == "hann_periodic" else length - 1
    cosine = np.cos(2.0 * np.pi * np.arange(length) / steps)
    if name == "hamming":
        return 0.54 - 0.46 * cosine
    hann = 0.5 - 0.5 * cosine
    return hann**0.85 if name == "povey" else hann


KALDI = LogMel()
LIBROSA = LogMel(
    bands=128,
    frame=0.128,
    hop=0.032,
    fft=2048,
    low=0.0,
    window="hann_periodic",
    edges="zeros",
    scale="slaney",
    triangles="hertz",
    norm="slaney",
    preemphasis=0.0,
    remove_dc=False,
    gain=1.0,
    log="decibel",
    floor=1e-10,
)
