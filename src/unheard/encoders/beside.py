"""Features of the whole clip beside every frame of an encoder's last layer: what the network is deaf to.

A network trained on what is said has little left of how high and how hoarse; functionals of pitch and voice
quality say it in one row a clip. Heads on frames see both, a committee (docs/heads.md) can give each its own dims.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from unheard import features
from unheard.audio.resample import RATE
from unheard.encoders.contract import Encoder, Layers, Wave
from unheard.errors import UsageError


class Beside(Encoder):
    """An encoder whose last layer has further dims, the same in every frame of a clip.

    Parameters
    ----------
    encoder
        At 16 kHz; everything else of it is as it was.
    settings
        Of features with one row a clip (``contract.BESIDE``).
    """

    def __init__(self, encoder: Encoder, settings: Mapping[str, Any]) -> None:
        if encoder.rate != RATE:
            raise UsageError(
                f"encoder.beside: {settings['name']} are computed at {RATE} Hz, and the encoder "
                f"{encoder.settings['name']!r} takes {encoder.rate}"
            )
        self.encoder = encoder
        self.spec = features.build(settings)
        self.settings: dict[str, Any] = encoder.settings
        self.rate, self.source = encoder.rate, encoder.source
        last = encoder.layers[-1]
        self.layers = (*encoder.layers[:-1], replace(last, dims=last.dims + len(self.spec.names)))

    def frames(self, samples: int) -> tuple[int, ...]:
        """Return the number of frames of each layer for a waveform of so many samples."""
        return self.encoder.frames(samples)

    def _extract(self, items: Sequence[Wave], layers: Sequence[int]) -> list[Layers]:
        """Return, for each waveform, the asked layers, each (frames, dims) float32; features last."""
        top = len(self.layers) - 1
        found = self.encoder.extract(items, layers)
        if top not in layers:
            return found
        rows = [np.asarray(self.spec.compute(wave), dtype=np.float32) for wave in items]
        return [
            tuple(
                np.hstack([frames, np.tile(row, (len(frames), 1))]) if layer == top else frames
                for layer, frames in zip(layers, clip, strict=True)
            )
            for clip, row in zip(found, rows, strict=True)
        ]
