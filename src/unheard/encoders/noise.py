"""A recording in noise before it is encoded: the same noise whoever asks for it, and in whatever order.

All chance comes from the clip and the number of the noise. A clip is known here as it is in the store, by its
content: two ids of the same content share what is stored, and so its noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unheard.audio.conditions import Wave, active_power, clipped, coloured
from unheard.files import digest

VERSION = 1  # of what is added; what is stored knows it


@dataclass(frozen=True)
class Noise:
    """Coloured noise at a ratio drawn uniformly from ``least`` to ``most`` dB; each ``number`` is another draw."""

    least: float
    most: float
    number: int = 0

    def key(self) -> dict[str, list[float]]:
        """What tells a clip in this noise from the clip as it was recorded, and from other noises."""
        return {"noise": [VERSION, float(self.least), float(self.most), self.number]}


def noisy(wave: Wave, rate: int, noise: Noise, clip: str) -> Wave:
    """Return the waveform in noise, within full scale; a silent one, to which no noise has a ratio, as it is.

    Parameters
    ----------
    wave, rate : (n,) samples, and how many a second.
    noise : what to add.
    clip : key of the clip as it was recorded.
    """
    if active_power(wave, rate) <= 0:
        return wave
    rng = np.random.default_rng(int(digest([clip, noise.number, "noise"]), 16))
    snr = rng.uniform(noise.least, noise.most)
    return clipped(coloured(wave, rate, rng, snr=snr))[0]
