"""An encoder family in numpy that follows the contract, is quick, counts its work, and misbehaves on demand."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unheard.encoders import ENCODERS
from unheard.encoders.contract import Encoder, Layers, Settings, Wave
from unheard.errors import DataError
from unheard.files import digest
from unheard.inputs import Layer, Source
from unheard.settings import plain

VERSION = 1


@dataclass(frozen=True)
class Options(Settings):
    dims: int = 6
    layers: int = 3
    rate: int = 16_000
    widening: bool = False  # entry k has k dims more than entry 0
    pause: float = 0.0  # seconds a clip
    log: str = ""  # file that gets a line for each clip
    fault: str = ""


def register() -> None:
    """Make the family known as ``fake``."""
    ENCODERS["fake"] = __name__


def load(options: Options) -> Fake:
    return Fake(options)


class Fake(Encoder):
    """Frames of 20 ms; entry k of a frame is (k + 1) times simple statistics of its samples."""

    def __init__(self, options: Options) -> None:
        self.options = options
        # Where it logs, and how slowly it works, decide nothing.
        decides = {
            "model": options.model,
            "dims": options.dims,
            "layers": options.layers,
            "fault": options.fault,
        }
        self.settings: dict[str, Any] = {"name": "fake", **plain(options), "sha256": digest(decides)}
        self.settings |= {"log": "", "pause": 0.0}
        self.rate = options.rate
        count = options.layers + 1 if options.cut is None else options.cut + 1
        self.layers = tuple(Layer(str(k), options.dims + k * options.widening, 50.0) for k in range(count))
        self.source = Source("none")

    def frames(self, samples: int) -> tuple[int, ...]:
        return (max(1, samples // (self.rate // 50)),) * len(self.layers)

    def _extract(self, items: Sequence[Wave], layers: Sequence[int]) -> list[Layers]:
        if self.options.fault == "refuse" and any(np.abs(wave).max() > 0.9 for wave in items):
            raise DataError("too loud for this encoder")
        return [self._one(wave, layers) for wave in items]

    def _one(self, wave: Wave, layers: Sequence[int]) -> Layers:
        time.sleep(self.options.pause)
        if self.options.log:
            with Path(self.options.log).open("a") as file:
                file.write(f"{len(wave)}\n")
        hop = self.rate // 50
        count = self.frames(len(wave))[0]
        cut = np.resize(wave, count * hop).reshape(count, hop)
        base = np.stack(
            [
                np.roll(cut, d, axis=1)[:, :: d + 1].mean(axis=1)
                for d in range(max(layer.dims for layer in self.layers))
            ],
            axis=1,
        )
        if np.abs(wave).max() > 0.9:
            base *= {"nan": np.nan, "large": 1e7}.get(self.options.fault, 1.0)
        return tuple((base[:, : self.layers[k].dims] * (k + 1)).astype(np.float32) for k in layers)
