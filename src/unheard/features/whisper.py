"""The log-mel spectrogram that Whisper takes: 16 kHz, 80 or 128 Slaney bands, 100 frames a second.

Radford et al. (2022), "Robust speech recognition via large-scale weak supervision". Power of a transform of 400
points under a periodic Hann window every 160 samples, centred, the ends mirrored, the last frame left out; log10,
at least 8 below the loudest value of the whole spectrogram; (x + 4) / 4. So a frame depends on the loudest one,
and frames of a padded waveform are not those of the waveform alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from unheard.features.frames import blocks, checked, frames
from unheard.features.logmel import window
from unheard.features.mel import mel_filters
from unheard.settings import Within, check

HOP, FFT = 160, 400  # samples at 16 kHz


@dataclass(frozen=True)
class WhisperMel:
    """Log energies in mel bands, (frames, bands) float32.

    Parameters
    ----------
    bands
        80, or 128 (large-v3).
    seconds
        The waveform is padded with zeros to so many seconds, or cut to them; 0: taken as it is.
    """

    bands: Annotated[int, Within(1, 1024)] = 80
    seconds: Annotated[float, Within(0, 60)] = 30.0

    version: ClassVar[int] = 1
    rate: ClassVar[int] = 16_000
    frames_per_second: ClassVar[float] = 100.0

    def __post_init__(self) -> None:
        check(self, "whisper")

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the dimensions, lowest band first."""
        return tuple(f"mel{band:03d}" for band in range(self.bands))

    def count(self, samples: int) -> int:
        """Return the number of frames: one for each whole 160 samples, at least two."""
        return self._length(samples) // HOP

    def compute(self, wave: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (frames, bands) of a waveform at 16 kHz; zeros are added to one of less than 320 samples."""
        samples = checked(wave)
        length = self._length(len(samples))
        samples = np.pad(samples[:length], (0, max(0, length - len(samples))))
        cut = frames(np.pad(samples, FFT // 2, mode="reflect"), FFT, HOP, "snip")[: length // HOP]
        weights = mel_filters(self.bands, FFT, 0.0, 8000.0, "slaney", "hertz", "slaney").T
        shape = window("hann_periodic", FFT)
        logs = np.empty((len(cut), self.bands), dtype=np.float64)
        for block in blocks(len(cut)):
            values = np.fft.rfft(cut[block] * shape)
            logs[block] = np.log10(np.maximum((values.real**2 + values.imag**2) @ weights, 1e-10))
        out: NDArray[np.float32] = ((np.maximum(logs, logs.max() - 8.0) + 4.0) / 4.0).astype(np.float32)
        return out

    def _length(self, samples: int) -> int:
        """Return the number of samples that are taken."""
        return round(self.seconds * self.rate) if self.seconds else max(samples, 2 * HOP)
