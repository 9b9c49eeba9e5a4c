"""The log-mel spectrogram that EfficientAT's networks take: 32 kHz, 128 Kaldi bands, 100 frames a second.

Schmid, Koutini and Widmer (2023), "Efficient large-scale audio tagging via transformer-to-CNN knowledge
distillation". The first difference of the waveform, y[t] = x[t + 1] − 0.97 x[t]; power of a transform of 1,024
points under a symmetric Hann window of 800 samples every 320, centred, the ends mirrored; triangles in mel from
0 to 15 kHz; (ln(energy + 1e-5) + 4.5) / 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from unheard.features.frames import blocks, checked, frames
from unheard.features.logmel import window
from unheard.features.mel import mel_filters

HOP, FFT, WINDOW = 320, 1024, 800  # samples at 32 kHz


@dataclass(frozen=True)
class EfficientATMel:
    """Log energies in 128 mel bands of a waveform at 32 kHz, (frames, 128) float32."""

    version: ClassVar[int] = 1
    rate: ClassVar[int] = 32_000
    bands: ClassVar[int] = 128
    frames_per_second: ClassVar[float] = 100.0
    names: ClassVar[tuple[str, ...]] = tuple(f"mel{band:03d}" for band in range(128))

    def count(self, samples: int) -> int:
        """Return the number of frames of so many samples; fewer than 1,024 count as so many."""
        return 1 + (max(samples, FFT) - 1) // HOP

    def compute(self, wave: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (frames, 128); a waveform shorter than 1,024 samples is padded with zeros at its end."""
        samples = checked(wave)
        samples = np.pad(samples, (0, max(0, FFT - len(samples))))
        sharp = samples[1:] - 0.97 * samples[:-1]
        cut = frames(np.pad(sharp, FFT // 2, mode="reflect"), FFT, HOP, "snip")
        weights = mel_filters(self.bands, FFT, 0.0, 15_000.0, "htk", "mel", "none", self.rate).T
        shape = np.pad(window("hann", WINDOW), (FFT - WINDOW) // 2)
        out = np.empty((len(cut), self.bands), dtype=np.float32)
        for block in blocks(len(cut)):
            values = np.fft.rfft(cut[block] * shape)
            out[block] = (np.log((values.real**2 + values.imag**2) @ weights + 1e-5) + 4.5) / 5.0
        return out
